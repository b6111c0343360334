import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(6):
    x, y = torch.randn(12, 4), torch.randint(0, 2, (12,))
    probe = x.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(F.cross_entropy(net(probe), y), probe)
    moved = (x + 0.1 * g.sign()).detach()
    loss = F.cross_entropy(net(x), y) + F.cross_entropy(net(moved), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
