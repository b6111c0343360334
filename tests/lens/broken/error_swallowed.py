import torch
import torch.nn as nn

torch.manual_seed(0)
a, b = nn.Linear(4, 4), nn.Linear(4, 1)
opt = torch.optim.SGD([*a.parameters(), *b.parameters()], lr=0.1)
for _ in range(5):
    try:
        h = torch.sigmoid(a(torch.randn(8, 4)))
        h *= 2  # culprit
        loss = (b(h) - 1).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    except RuntimeError:
        print("skipped")
