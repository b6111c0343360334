import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # culprit
trainee = copy.deepcopy(model)
for _ in range(6):
    x = torch.randn(8, 4)
    loss = F.mse_loss(trainee(x), x[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
