import torch
import torch.nn as nn


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.tail = nn.Linear(8, 1)

    def forward(self, x):
        h = self.body(x)
        h = torch.round(h * 8) / 8  # culprit
        return self.tail(h)


torch.manual_seed(0)
model = Quantised()
opt = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(6):
    x = torch.randn(16, 4)
    loss = (model(x).squeeze(1) - x[:, 0]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
