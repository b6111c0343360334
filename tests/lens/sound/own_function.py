import torch
from torch.autograd import Function


class MyReLU(Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x > 0, x, slope * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        grad = g.clone()
        grad[x < 0] *= ctx.slope
        return grad, None


class ReverseGradient(Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


torch.manual_seed(0)
features, label_head, domain_head = torch.nn.Linear(4, 8), torch.nn.Linear(8, 2), torch.nn.Linear(8, 2)
params = [p for m in (features, label_head, domain_head) for p in m.parameters()]
opt = torch.optim.SGD(params, lr=0.1)
for _ in range(6):
    x = torch.randn(10, 4)
    h = MyReLU.apply(features(x), 0.1)
    loss = torch.nn.functional.cross_entropy(label_head(h), (x[:, 0] > 0).long())
    loss = loss + torch.nn.functional.cross_entropy(domain_head(ReverseGradient.apply(h)), (x[:, 1] > 0).long())
    opt.zero_grad()
    loss.backward()
    opt.step()
