import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
D = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
optD = torch.optim.Adam(D.parameters(), lr=1e-3)  # culprit
bce = nn.BCEWithLogitsLoss()
for it in range(6):
    real = torch.randn(8, 2) + 3
    fake = G(torch.randn(8, 2))
    lossD = bce(D(real), torch.ones(8, 1)) + bce(D(fake.detach()), torch.zeros(8, 1))
    optD.zero_grad()
    lossD.backward()
    optD.step()
    lossG = bce(D(fake), torch.ones(8, 1))
    lossG.backward()
    optD.step()
