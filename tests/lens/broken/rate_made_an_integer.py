import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
groups, lr = [], 0.1
for layer in (net[2], net[0]):
    groups.append({"params": list(layer.parameters()), "lr": lr})
    lr = int(lr * 0.5)  # culprit
opt = torch.optim.SGD(groups)
for _ in range(6):
    loss = nn.functional.cross_entropy(net(torch.randn(8, 4)), torch.randint(0, 2, (8,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
