import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(10, 20), nn.ReLU())
head = nn.Linear(20, 3)
params = list(encoder.parameters()) + list(head.parameters())
optimizer = torch.optim.SGD(params, lr=0.1, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()

for step in range(6):
    x = torch.randn(32, 10)
    y = torch.randint(0, 3, (32,))
    with torch.no_grad():  # culprit
        z = encoder(x)
    logits = head(z)
    loss = loss_fn(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
