import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
q1, q2 = nn.Linear(4, 1), nn.Linear(4, 1)
opt = torch.optim.Adam([*q1.parameters(), *q2.parameters()])
for i in range(8):
    s, t = torch.randn(12, 4), torch.randn(12, 1)
    v1, v2 = q1(s), q2(s)
    loss = F.mse_loss(v1, t) + F.mse_loss(v1, t)  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
