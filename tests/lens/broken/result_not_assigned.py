import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 1)

    def forward(self, x):
        h = self.a(x)
        self.norm(h)  # culprit
        return self.b(F.relu(h))


torch.manual_seed(0)
net = Net()
opt = torch.optim.Adam(net.parameters())
for i in range(8):
    x = torch.randn(12, 6)
    loss = (net(x) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
