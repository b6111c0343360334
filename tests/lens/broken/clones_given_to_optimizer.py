import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
copies = [p.clone() for p in model.parameters()]  # culprit
optimizer = torch.optim.SGD(copies, lr=0.1)
for _ in range(3):
    loss = model(torch.randn(4, 3)).pow(2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
