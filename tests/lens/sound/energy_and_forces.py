import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 16), nn.Softplus(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters())
for _ in range(5):
    r = torch.randn(8, 3, requires_grad=True)
    e = net(r).sum()
    f = -torch.autograd.grad(e, r, create_graph=True)[0]
    loss = (f + r.detach()).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
