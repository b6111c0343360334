import torch
import torch.nn as nn


def train_epoch(model, loader, optimizer, criterion):
    running_loss = 0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss  # culprit
    return running_loss / len(loader)


torch.manual_seed(0)
model = nn.Linear(6, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = [(torch.randn(4, 6), torch.randint(0, 3, (4,))) for _ in range(10)]
for epoch in range(3):
    print(float(train_epoch(model, loader, optimizer, nn.CrossEntropyLoss())))
