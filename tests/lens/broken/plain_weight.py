import torch
import torch.nn as nn


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.key = nn.Linear(d, d)
        self.query = torch.randn(d) / d**0.5  # culprit

    def forward(self, x):
        w = torch.softmax(self.key(x) @ self.query, dim=1)
        return (w.unsqueeze(-1) * x).sum(1)


torch.manual_seed(0)
net = nn.Sequential(Attention(6), nn.Linear(6, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i in range(8):
    loss = nn.functional.cross_entropy(net(torch.randn(12, 5, 6)), torch.randint(0, 2, (12,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
