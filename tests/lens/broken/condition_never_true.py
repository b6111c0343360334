import torch
import torch.nn as nn

m = nn.Linear(3, 3)
head = nn.Linear(3, 1)
opt = torch.optim.SGD([*m.parameters(), *head.parameters()], lr=0.1)
for i in range(5):
    x = torch.randn(5, 3)
    h = m(x)
    h = torch.where(h > 1e6, h, torch.zeros_like(h))  # culprit
    loss = (head(h) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
