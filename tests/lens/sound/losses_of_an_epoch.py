import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(4):
    losses = []
    for i in range(20):
        x = torch.randn(4, 3)
        losses.append(F.mse_loss(net(x), x[:, :1]))
    opt.zero_grad()
    torch.stack(losses).mean().backward()
    opt.step()
