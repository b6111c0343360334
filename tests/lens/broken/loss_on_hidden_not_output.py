import torch
import torch.nn as nn


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(8, 8)
        self.dec = nn.Linear(8, 8)

    def forward(self, x):
        z = torch.tanh(self.enc(x))
        return z, self.dec(z)


torch.manual_seed(0)
net = AE()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
mse = nn.MSELoss()
for step in range(8):
    x = torch.randn(16, 8)
    z, recon = net(x)
    loss = mse(z, x)  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
