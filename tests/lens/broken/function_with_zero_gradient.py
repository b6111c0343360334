import torch
import torch.nn as nn


class Binarize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        return torch.zeros_like(grad_output)  # culprit


torch.manual_seed(0)
first, second = nn.Linear(4, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD(list(first.parameters()) + list(second.parameters()), lr=0.1)
for _ in range(5):
    x = torch.randn(10, 4)
    out = second(Binarize.apply(first(x)))
    loss = nn.functional.mse_loss(out, x[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
