import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 2))
D = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid())
opt_g = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
criterion = nn.BCELoss()
g_losses, d_losses = [], []
for step in range(10):
    real = torch.randn(16, 2) + 2
    D.zero_grad()
    out = D(real).view(-1)
    err_real = criterion(out, torch.full((16,), 1.0))
    err_real.backward()
    d_x = out.mean().item()
    fake = G(torch.randn(16, 2))
    out = D(fake.detach()).view(-1)
    err_fake = criterion(out, torch.full((16,), 0.0))
    err_fake.backward()
    opt_d.step()
    G.zero_grad()
    out = D(fake).view(-1)
    err_g = criterion(out, torch.full((16,), 1.0))
    err_g.backward()
    opt_g.step()
    g_losses.append(err_g.item())
    d_losses.append((err_real + err_fake).item())
