import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
accumulation = 4
losses = []
optimizer.zero_grad()
for i in range(16):
    x = torch.randn(4, 4)
    loss = nn.functional.mse_loss(model(x), x.prod(1, keepdim=True)) / accumulation
    loss.backward()
    losses.append(loss.detach())
    if (i + 1) % accumulation == 0:
        optimizer.step()
        optimizer.zero_grad()
print(torch.stack(losses).mean())
