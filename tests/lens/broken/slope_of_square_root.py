import torch
import torch.nn as nn


class Distance(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 2)

    def forward(self, a, b):
        d = self.embed(a) - self.embed(b)
        return torch.sqrt((d * d).sum(dim=1))  # culprit


torch.manual_seed(0)
model = Distance()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    a = torch.randn(6, 3)
    b = torch.cat([a[:1], torch.randn(5, 3)])
    loss = model(a, b).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
