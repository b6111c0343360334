import torch
import torch.nn as nn


class Mean:
    def __init__(self):
        self.total, self.n = 0.0, 0

    def add(self, value):
        self.total = self.total + value
        self.n += 1


torch.manual_seed(0)
net, mean = nn.Linear(4, 1), Mean()
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(12):
    loss = (net(torch.randn(8, 4)) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    mean.add(loss)  # culprit
