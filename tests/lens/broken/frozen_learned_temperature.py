import torch
import torch.nn as nn
import torch.nn.functional as F


class Contrastive(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Linear(6, 4)
        self.text = nn.Linear(5, 4)
        self.temperature = nn.Parameter(torch.tensor(0.5))

    def forward(self, a, b):
        a = F.normalize(self.image(a), dim=1)
        b = F.normalize(self.text(b), dim=1)
        return a @ b.t() / self.temperature.item()  # culprit


torch.manual_seed(0)
model = Contrastive()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(5):
    logits = model(torch.randn(8, 6), torch.randn(8, 5))
    target = torch.arange(8)
    loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
