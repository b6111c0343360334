import torch
import torch.nn as nn
from torch.optim.swa_utils import AveragedModel

m = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
swa = AveragedModel(m)
opt = torch.optim.SGD(m.parameters(), lr=0.1)
for i in range(8):
    x = torch.randn(4, 3)
    loss = (m(x) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i > 3:
        swa.update_parameters(m)
print(swa(torch.randn(1, 3)).item())
