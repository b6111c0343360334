import torch
import torch.nn as nn

torch.manual_seed(0)
trunk = nn.Linear(4, 8)
heads = nn.ModuleList([nn.Linear(8, 1) for _ in range(3)])
opt = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.05)
for step in range(12):
    task = step % 3
    x = torch.randn(8, 4)
    out = heads[task](torch.tanh(trunk(x)))
    loss = (out.squeeze(1) - x[:, task]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
