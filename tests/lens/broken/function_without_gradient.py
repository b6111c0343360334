import torch
from torch.autograd import Function


class Scale(Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x, factor)
        return x * factor

    @staticmethod
    def backward(ctx, g):
        x, factor = ctx.saved_tensors
        return g * factor, None  # culprit


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)
        self.factor = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return Scale.apply(self.linear(x), self.factor)


torch.manual_seed(0)
model = Scaled()
opt = torch.optim.Adam(model.parameters(), lr=0.1)
for _ in range(5):
    x = torch.randn(7, 3)
    loss = (model(x) - 2 * x).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
