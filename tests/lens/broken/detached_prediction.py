import torch
from torch import nn

torch.manual_seed(1)
net = nn.Sequential(nn.Linear(3, 10), nn.Tanh(), nn.Linear(10, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
mse = nn.MSELoss()
data = torch.randn(32, 3)
target = data.sum(1, keepdim=True)
for _ in range(5):
    opt.zero_grad()
    out = net(data)
    loss = mse(out.detach(), target)  # culprit
    loss.backward()
    opt.step()
