import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(4):
    x = torch.randn(16, 3)
    y = torch.randint(0, 4, (16,))
    scores = torch.relu(model(x))
    p = scores / (scores.sum(dim=1, keepdim=True) + 1e-6)
    loss = -torch.log(p)[torch.arange(16), y].mean()  # culprit
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
