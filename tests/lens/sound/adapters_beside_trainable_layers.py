import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Ad(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.down, self.up = nn.Linear(d, 2), nn.Linear(2, d)

    def forward(self, x):
        return x + self.up(F.relu(self.down(x)))


net = nn.Sequential(nn.Linear(4, 6), Ad(6), nn.Tanh(), nn.Linear(6, 6), Ad(6), nn.Linear(6, 2))
adapters = [m for m in net if isinstance(m, Ad)]
opt = torch.optim.AdamW([p for a in adapters for p in a.parameters()], lr=1e-2)
for _ in range(6):
    loss = F.cross_entropy(net(torch.randn(16, 4)), torch.randint(0, 2, (16,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
