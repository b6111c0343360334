import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05)


def ascend(x):
    net.requires_grad_(False)  # culprit
    x = x.clone().requires_grad_(True)
    for _ in range(3):
        (g,) = torch.autograd.grad(net(x).sum(), x)
        x = (x + 0.1 * g).detach().requires_grad_(True)
    net[0].requires_grad_(True)
    return x.detach()


for _ in range(5):
    x = torch.randn(8, 3)
    loss = net(ascend(x)).mean() - net(x).mean() + net(x).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
