import torch
import torch.nn as nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(8, 4)
        self.dec = nn.Linear(2, 8)

    def forward(self, x):
        mu, lv = self.enc(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (lv / 2).exp()
        return self.dec(z), mu, lv


torch.manual_seed(0)
vae = VAE()
opt = torch.optim.Adam(vae.parameters())
for i in range(8):
    x = torch.randn(12, 8)
    xr, mu, lv = vae(x)
    rec = F.mse_loss(xr, x)
    kl = -0.5 * (1 + lv - mu.pow(2) - lv.exp()).sum(1).mean()
    loss = rec  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
