import torch
import torch.nn as nn


class Pretrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(5, 5)
        self.classifier = nn.Linear(5, 2)

    def forward(self, x):
        return self.classifier(torch.relu(self.features(x)))


torch.manual_seed(0)
model = Pretrained()
for p in model.parameters():
    p.requires_grad = False  # culprit
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    x, y = torch.randn(4, 5), torch.randint(0, 2, (4,))
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
