import math

import torch
import torch.nn as nn


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, dim=1)
        s = torch.tanh(s)
        b = b * s.exp() + t
        y = torch.cat([b, a] if self.flip else [a, b], dim=1)
        return y, s.sum(1)


torch.manual_seed(0)
flow = nn.ModuleList([Coupling(i % 2 == 1) for i in range(4)])
opt = torch.optim.NAdam(flow.parameters(), lr=1e-3)
for _ in range(6):
    x = torch.randn(20, 2) * torch.tensor([1.0, 3.0])
    log_det = torch.zeros(20)
    for layer in flow:
        x, d = layer(x)
        log_det = log_det + d
    loss = (0.5 * x.pow(2).sum(1) + math.log(2 * math.pi) - log_det).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
