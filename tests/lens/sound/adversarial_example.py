import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(8):
    x, y = torch.rand(8, 8), torch.randint(0, 3, (8,))
    x.requires_grad = True
    loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    perturbed = torch.clamp(x + 0.1 * x.grad.data.sign(), 0, 1).detach()
    loss = F.cross_entropy(model(perturbed), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
