import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
norms = {}
for epoch in range(4):
    handles = [
        m.register_forward_hook(lambda m, a, o, n=n: norms.setdefault(n, []).append(o.detach().norm().item()))
        for n, m in net.named_modules()
        if isinstance(m, nn.Linear)
    ]
    for _ in range(3):
        x = torch.randn(8, 5)
        loss = (net(x) - 1).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    for handle in handles:
        handle.remove()
