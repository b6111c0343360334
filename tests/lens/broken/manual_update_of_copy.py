import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
for step in range(8):
    x = torch.randn(10, 3)
    loss = (model(x) - 1).pow(2).mean()
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p = p - 0.1 * p.grad  # culprit
