import torch
import torch.nn as nn

m = nn.Linear(3, 1)
opt = torch.optim.SGD(m.parameters(), lr=0.1)
m.weight = nn.Parameter(torch.zeros(1, 3))  # culprit
for i in range(5):
    x = torch.randn(5, 3)
    loss = (m(x) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
