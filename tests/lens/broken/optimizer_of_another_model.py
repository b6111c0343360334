import copy

import torch
from torch import nn

torch.manual_seed(0)
reference = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
model = copy.deepcopy(reference)
optimizer = torch.optim.Adam(reference.parameters(), lr=1e-3)  # culprit
for _ in range(6):
    x = torch.randn(20, 4)
    loss = (model(x) - x[:, :1]).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
