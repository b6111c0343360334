import torch
import torch.nn as nn

torch.manual_seed(0)
trunk, a, b = nn.Linear(5, 8), nn.Linear(8, 1), nn.Linear(8, 1)
opt = torch.optim.Adam([*trunk.parameters(), *a.parameters(), *b.parameters()], lr=1e-3)
for step in range(10):
    x = torch.randn(12, 5)
    loss_a = (a(trunk(x)) - 1).pow(2).mean()
    opt.zero_grad()
    loss_a.backward()
    loss_b = (b(trunk(x)) + 1).pow(2).mean()
    opt.zero_grad()  # culprit
    loss_b.backward()
    opt.step()
