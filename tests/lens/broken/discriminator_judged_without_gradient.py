import torch
import torch.nn as nn

torch.manual_seed(0)
G, D = nn.Linear(2, 2), nn.Linear(2, 1)
oG, oD = torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters())
for _ in range(5):
    with torch.no_grad():  # culprit
        pr, pf = D(torch.randn(4, 2)), D(G(torch.randn(4, 2)))
    ld = (pr - 1).pow(2).mean() + pf.pow(2).mean()
    ld.requires_grad_(True)
    oD.zero_grad()
    ld.backward()
    oD.step()
    lg = (D(G(torch.randn(4, 2))) - 1).pow(2).mean()
    oG.zero_grad()
    lg.backward()
    oG.step()
