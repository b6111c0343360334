import torch
import torch.nn as nn


class Norm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.register_buffer("weight", torch.ones(d))  # culprit
        self.register_buffer("bias", torch.zeros(d))  # culprit

    def forward(self, x):
        m, s = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return (x - m) / (s + 1e-5) * self.weight + self.bias


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), Norm(16), nn.Linear(16, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(8):
    x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
