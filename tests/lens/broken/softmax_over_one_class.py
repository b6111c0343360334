import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(5):
    x = torch.randn(12, 4)
    y = (x[:, 0] > 0).float()
    p = F.softmax(model(x), dim=1).squeeze(1)  # culprit
    loss = ((p - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
