import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(5, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
predictions = []
for epoch in range(8):
    for _ in range(2):
        x, y = torch.randn(4, 5), torch.randint(0, 2, (4,))
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    for _ in range(3):
        predictions.append(model(torch.randn(4, 5)))  # culprit
    model.train()
