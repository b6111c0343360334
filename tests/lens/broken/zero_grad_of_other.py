import torch
import torch.nn as nn

torch.manual_seed(0)
a, b = nn.Linear(4, 4), nn.Linear(4, 1)
oa, ob = torch.optim.SGD(a.parameters(), lr=0.01), torch.optim.SGD(b.parameters(), lr=0.01)
for epoch in range(9):
    x = torch.randn(6, 4)
    loss = (b(torch.tanh(a(x))) - 1).pow(2).mean()
    oa.zero_grad()
    oa.zero_grad()  # culprit
    loss.backward()
    oa.step()
    ob.step()
