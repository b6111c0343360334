import torch
import torch.nn as nn


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Parameter(torch.randn(4, 4) * 0.1)
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        symmetric = nn.Parameter(self.base + self.base.t())  # culprit
        return x @ symmetric + self.bias


torch.manual_seed(0)
model = Tied()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    x = torch.randn(8, 4)
    loss = (model(x) - x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
