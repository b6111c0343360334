import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(5, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
seen = {}
for i in range(12):
    net.register_forward_hook(lambda m, a, o: seen.update(last=o.detach()))  # culprit
    x = torch.randn(8, 5)
    loss = (net(x) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
