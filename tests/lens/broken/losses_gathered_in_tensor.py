import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    parts = []
    for _ in range(3):
        x = torch.randn(4, 2)
        parts.append(nn.functional.mse_loss(model(x), x))
    loss = torch.tensor(parts, requires_grad=True).mean()  # culprit
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
