import torch
import torch.nn as nn

torch.manual_seed(0)
trunk = nn.Linear(5, 8)
heads = nn.ModuleList([nn.Linear(8, 1) for _ in range(3)])
opt = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-3)
for step in range(7):
    x = torch.randn(10, 5)
    h = torch.relu(trunk(x))
    total = 0.0
    for k, head in enumerate(heads):
        total = +nn.functional.mse_loss(head(h), x[:, k : k + 1])  # culprit
    opt.zero_grad()
    total.backward()
    opt.step()
