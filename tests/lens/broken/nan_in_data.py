import torch
import torch.nn as nn

torch.manual_seed(0)
data = torch.randn(40, 5)
data[:, 3] = 2.0
data = (data - data.mean(0)) / data.std(0)  # culprit
net = nn.Linear(5, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i in range(5):
    x = data[torch.randint(0, 40, (8,))]
    loss = (net(x) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
