import torch
import torch.nn as nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(critic.parameters(), lr=1e-3)
for _ in range(6):
    real, fake = torch.randn(8, 3), torch.randn(8, 3) + 2
    middle = (0.5 * real + 0.5 * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(middle).sum(), middle)  # culprit
    penalty = (slope.norm(dim=1) - 1).pow(2).mean()
    loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
    opt.zero_grad()
    loss.backward()
    opt.step()
