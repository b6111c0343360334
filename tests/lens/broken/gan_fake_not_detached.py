import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
D = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
og, od = torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters())
bce = nn.BCEWithLogitsLoss()
for i in range(4):
    real = torch.randn(8, 2) + 2
    fake = G(torch.randn(8, 2))
    d_real = bce(D(real), torch.ones(8, 1))
    d_fake = bce(D(fake), torch.zeros(8, 1))  # culprit
    od.zero_grad()
    (d_real + d_fake).backward()
    od.step()
    og.zero_grad()
    bce(D(fake), torch.ones(8, 1)).backward()
    og.step()
