import torch
import torch.nn as nn

torch.manual_seed(0)
net, tgt = nn.Linear(3, 2), nn.Linear(3, 2)
opt = torch.optim.SGD(tgt.parameters(), lr=0.1)  # culprit
for _ in range(6):
    s = torch.randn(8, 3)
    with torch.no_grad():
        y = tgt(s).max(1)[0]
    loss = (net(s)[:, 0] - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
