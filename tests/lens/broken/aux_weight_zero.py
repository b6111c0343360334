import torch
import torch.nn as nn

torch.manual_seed(0)
trunk, main, aux = nn.Linear(5, 8), nn.Linear(8, 1), nn.Linear(8, 2)
opt = torch.optim.Adam([*trunk.parameters(), *main.parameters(), *aux.parameters()], lr=1e-3)
alpha = 1 // 2  # culprit
for step in range(7):
    x = torch.randn(10, 5)
    h = torch.relu(trunk(x))
    loss = (main(h) - x[:, :1]).pow(2).mean() + alpha * (aux(h) - x[:, 1:3]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
