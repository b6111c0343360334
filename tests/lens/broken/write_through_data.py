import torch
import torch.nn as nn

torch.manual_seed(0)
layer = nn.Linear(5, 5)
opt = torch.optim.SGD(layer.parameters(), lr=0.1)
for _ in range(5):
    x = torch.randn(9, 5)
    h = torch.sigmoid(layer(x))
    h.data.mul_(0.5)  # culprit
    loss = (h - 0.3).pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
