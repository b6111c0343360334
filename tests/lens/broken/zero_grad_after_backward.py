import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Linear(7, 2)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for epoch in range(5):
    for _ in range(2):
        inputs, labels = torch.randn(8, 7), torch.randint(0, 2, (8,))
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.zero_grad()  # culprit
        optimizer.step()
