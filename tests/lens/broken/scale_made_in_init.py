import torch
import torch.nn as nn


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.log_scale = nn.Parameter(torch.zeros(4))
        self.scale = self.log_scale.exp()  # culprit

    def forward(self, x):
        return self.lin(x) * self.scale


torch.manual_seed(0)
net = Scaled()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(5):
    x = torch.randn(16, 4)
    loss = (net(x) - x).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
