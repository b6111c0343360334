import itertools

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
A, B = nn.Linear(3, 3), nn.Linear(3, 3)
DA, DB = nn.Linear(3, 1), nn.Linear(3, 1)
oG = torch.optim.Adam(itertools.chain(A.parameters(), B.parameters()))
oD = torch.optim.Adam(itertools.chain(DA.parameters(), DB.parameters()))


def req(nets, flag):
    for n in nets:
        for p in n.parameters():
            p.requires_grad = flag


for _ in range(5):
    a, b = torch.randn(6, 3), torch.randn(6, 3)
    fb, fa = A(a), B(b)
    ra, rb = B(fb), A(fa)
    req([DA, DB], False)
    oG.zero_grad()
    lg = (DB(fb) - 1).pow(2).mean() + (DA(fa) - 1).pow(2).mean() + F.l1_loss(ra, a) + F.l1_loss(rb, b)
    lg.backward()
    oG.step()
    req([DA, DB], True)
    oD.zero_grad()
    for D, real, fake in ((DA, a, fa), (DB, b, fb)):
        ((D(real) - 1).pow(2).mean() + D(fake.detach()).pow(2).mean()).backward()
    oD.step()
