import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(5):
    loss = (net(torch.randn(8, 4)) - 1).pow(2).mean()
    loss.backward()
    for p in net.parameters():
        p.grad.data.zero_()  # culprit
    opt.step()
