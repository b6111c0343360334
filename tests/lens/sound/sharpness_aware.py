import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
net = nn.Linear(4, 2)
base = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(5):
    x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
    F.cross_entropy(net(x), y).backward()
    es = []
    with torch.no_grad():
        gn = torch.norm(torch.stack([p.grad.norm() for p in net.parameters()]))
        for p in net.parameters():
            e = p.grad * 0.05 / (gn + 1e-12)
            p.add_(e)
            es.append(e)
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    with torch.no_grad():
        for p, e in zip(net.parameters(), es):
            p.sub_(e)
    base.step()
    base.zero_grad()
