import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
average = None
for step in range(25):
    x = torch.randn(8, 4)
    loss = (model(x) - 2).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    average = loss if average is None else 0.9 * average + 0.1 * loss  # culprit
print("average", float(average))
