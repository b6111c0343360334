import torch
import torch.nn as nn


class Denoiser(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.time = nn.Embedding(steps, 8)
        self.inp, self.out = nn.Linear(2, 8), nn.Linear(8, 2)

    def forward(self, x, t):
        return self.out(nn.functional.silu(self.inp(x) + self.time(t)))


torch.manual_seed(0)
steps = 10
beta = torch.linspace(1e-4, 0.02, steps)
alpha_bar = torch.cumprod(1 - beta, 0)
model = Denoiser(steps)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(8):
    x0 = torch.randn(16, 2)
    t = torch.randint(0, steps, (16,))
    noise = torch.randn_like(x0)
    a = alpha_bar[t].unsqueeze(1)
    loss = (model(a.sqrt() * x0 + (1 - a).sqrt() * noise, t) - noise).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()


@torch.no_grad()
def sample(n):
    x = torch.randn(n, 2)
    for t in reversed(range(steps)):
        eps = model(x, torch.full((n,), t))
        x = (x - beta[t] / (1 - alpha_bar[t]).sqrt() * eps) / (1 - beta[t]).sqrt()
        if t:
            x = x + beta[t].sqrt() * torch.randn_like(x)
    return x


print(sample(3).shape)
