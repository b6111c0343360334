import torch
import torch.nn as nn

m = nn.Linear(3, 2)
opt = torch.optim.SGD(m.parameters(), lr=0.1)
total = 0.0
for i in range(12):
    x = torch.randn(4, 3)
    y = torch.randint(0, 2, (4,))
    out = m(x)
    loss = nn.functional.cross_entropy(out, y)
    loss.backward()
    opt.step()
    opt.zero_grad()
    total = total + loss  # culprit
    if i % 4 == 3:
        print(total / (i + 1))
