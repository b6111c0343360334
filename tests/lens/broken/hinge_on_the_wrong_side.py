import torch
import torch.nn as nn

torch.manual_seed(0)
G, D = nn.Linear(2, 2), nn.Linear(2, 1)
og, od = torch.optim.Adam(G.parameters(), 1e-3), torch.optim.Adam(D.parameters(), 1e-3)
for _ in range(5):
    real, fake = torch.randn(8, 2), G(torch.randn(8, 2)).detach()
    ld = torch.relu(-6 - D(real)).mean() + torch.relu(-6 + D(fake)).mean()  # culprit
    od.zero_grad()
    ld.backward()
    od.step()
    lg = -D(G(torch.randn(8, 2))).mean()
    og.zero_grad()
    lg.backward()
    og.step()
