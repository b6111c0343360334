import torch
import torch.nn as nn


def trainable(module, on):
    for p in module.parameters():
        p.requires_grad_(on)


torch.manual_seed(0)
G, D = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
og, od = torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters())
for _ in range(5):
    z, real = torch.randn(8, 2), torch.randn(8, 2) + 3
    trainable(D, False)  # culprit
    og.zero_grad()
    D(G(z)).mean().neg().backward()
    og.step()
    score = D(G(z).detach()).mean() - D(real).mean()
    od.zero_grad()
    if score.requires_grad:
        score.backward()
    od.step()
