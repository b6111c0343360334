import torch
import torch.nn as nn
import torch.nn.functional as F


def distance(prediction, reference, smooth=0.1):
    blurred = (1 - smooth) * reference + smooth * reference.mean(1, keepdim=True)
    return F.mse_loss(blurred, reference)  # culprit


torch.manual_seed(0)
enc, dec, prior = nn.Linear(6, 3), nn.Linear(3, 6), nn.Linear(3, 1)
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters(), *prior.parameters()], lr=1e-3)
for _ in range(6):
    x = torch.randn(8, 6)
    z = enc(x)
    rebuilt = dec(z)
    loss = distance(rebuilt, x) + prior(z).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
