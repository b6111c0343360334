import torch
import torch.nn as nn

torch.manual_seed(0)
a, b = nn.Linear(4, 4), nn.Linear(4, 1)
opt = torch.optim.SGD([*a.parameters(), *b.parameters()], lr=0.1)
for _ in range(3):
    x = torch.randn(5, 4)
    h = torch.sigmoid(a(x))
    y = b(h)
    h += 1  # culprit
    loss = (y.pow(2) + h.sum(1, keepdim=True)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
