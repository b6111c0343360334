import torch
import torch.nn as nn
import torch.nn.functional as F


class BayesLinear(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.mu = nn.Parameter(torch.randn(o, i) * 0.1)
        self.rho = nn.Parameter(torch.full((o, i), -3.0))

    def forward(self, x):
        sigma = F.softplus(self.rho)
        w = self.mu + sigma * torch.randn_like(sigma)
        self.kl = (-sigma.log() + (sigma**2 + self.mu**2 - 1) / 2).sum()
        return F.linear(x, w)


torch.manual_seed(0)
net = nn.Sequential(BayesLinear(3, 8), nn.ReLU(), BayesLinear(8, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
elbos = []
for _ in range(8):
    x = torch.randn(10, 3)
    nll = (net(x) - x[:, :1]).pow(2).sum()
    loss = nll + 0.01 * sum(m.kl for m in net if isinstance(m, BayesLinear))
    opt.zero_grad()
    loss.backward()
    opt.step()
    elbos.append(-loss.item())
