import torch
import torch.nn as nn

gen, disc = nn.Linear(2, 2), nn.Linear(2, 1)
opt_g = torch.optim.Adam(disc.parameters(), 1e-3)  # culprit
opt_d = torch.optim.Adam(disc.parameters(), 1e-3)
bce = nn.BCEWithLogitsLoss()
for i in range(6):
    fake = gen(torch.randn(4, 2))
    ld = bce(disc(torch.randn(4, 2)), torch.ones(4, 1)) + bce(disc(fake.detach()), torch.zeros(4, 1))
    opt_d.zero_grad()
    ld.backward()
    opt_d.step()
    lg = bce(disc(fake), torch.ones(4, 1))
    opt_g.zero_grad()
    lg.backward()
    opt_g.step()
