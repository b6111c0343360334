import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(8):
    loss = (net(torch.randn(8, 4)) - 1).pow(2).mean()
    opt.zero_grad  # culprit
    loss.backward()
    opt.step()
