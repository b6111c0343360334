import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i in range(4):
    x = torch.randn(5, 3)
    opt.zero_grad()
    loss = (net(x) - 1).pow(2).mean()
    opt.step()  # culprit
