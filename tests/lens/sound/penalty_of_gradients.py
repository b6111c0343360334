import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 16), nn.Softplus(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(6):
    x = torch.randn(12, 3, requires_grad=True)
    y = net(x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    loss = (y[:, 0] - x.detach().norm(dim=1)).pow(2).mean() + 0.1 * (g.norm(dim=1) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
