import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
q = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
target = copy.deepcopy(q)
opt = torch.optim.Adam(q.parameters(), lr=1e-3)
for it in range(6):
    s, s2 = torch.randn(8, 4), torch.randn(8, 4)
    a = torch.randint(0, 2, (8, 1))
    r = torch.randn(8)
    pred = target(s).gather(1, a).squeeze(1)  # culprit
    with torch.no_grad():
        y = r + 0.99 * target(s2).max(1)[0]
    loss = F.mse_loss(pred, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
