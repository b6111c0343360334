import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(6):
    x = torch.randn(16, 6)
    y = x[:, :3] * 2
    y[torch.rand(16, 3) < 0.3] = float("nan")
    known = ~torch.isnan(y)
    error = net(x) - torch.where(known, y, torch.zeros_like(y))
    loss = (error.pow(2) * known).sum() / known.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
