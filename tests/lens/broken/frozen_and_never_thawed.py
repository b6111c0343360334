import torch
import torch.nn as nn

torch.manual_seed(0)
G, D = nn.Linear(2, 2), nn.Linear(2, 1)
oG, oD = torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters())
for _ in range(5):
    for p in D.parameters():
        p.requires_grad = False  # culprit
    lg = (D(G(torch.randn(4, 2))) - 1).pow(2).mean()
    oG.zero_grad()
    lg.backward()
    oG.step()
    ld = D(torch.randn(4, 2)).pow(2).mean() + (D(G(torch.randn(4, 2))) - 1).pow(2).mean()
    oD.zero_grad()
    ld.backward()
    oD.step()
