import torch
import torch.nn as nn


class A(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 3))
        self.b = torch.zeros(3, requires_grad=True)  # culprit

    def forward(self, x):
        return x @ self.w + self.b


m = A()
opt = torch.optim.SGD(m.parameters(), lr=0.1)
for i in range(6):
    x = torch.randn(5, 3)
    loss = (m(x) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
