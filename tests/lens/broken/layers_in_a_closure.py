import torch
import torch.nn as nn


def gate(d):
    inner, outer = nn.Linear(d, d), nn.Linear(d, d)
    return lambda x: x * torch.sigmoid(outer(torch.tanh(inner(x))))


class Net(nn.Module):
    def __init__(self, d=6):
        super().__init__()
        self.gate = gate(d)  # culprit
        self.head = nn.Linear(d, 2)

    def forward(self, x):
        return self.head(self.gate(x))


torch.manual_seed(0)
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(6):
    loss = nn.functional.cross_entropy(net(torch.randn(8, 6)), torch.randint(0, 2, (8,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
