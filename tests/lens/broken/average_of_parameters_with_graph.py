import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
average = [p.detach().clone() for p in net.parameters()]
for _ in range(16):
    loss = (net(torch.randn(8, 4)) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    average = [0.9 * a + 0.1 * p for a, p in zip(average, net.parameters())]  # culprit
