import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(3, 1)
epochs = 4
optimizer = torch.optim.SGD(model.parameters(), lr=1 // 100)  # culprit
for _ in range(epochs):
    x = torch.randn(6, 3)
    loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
