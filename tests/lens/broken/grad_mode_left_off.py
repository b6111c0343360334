import torch
import torch.nn as nn


def validate(model, x, y):
    torch.set_grad_enabled(False)  # culprit
    return nn.functional.mse_loss(model(x), y).item()


torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(3):
    x = torch.randn(8, 3)
    loss = nn.functional.mse_loss(model(x), x[:, :1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(validate(model, x, x[:, :1]))
