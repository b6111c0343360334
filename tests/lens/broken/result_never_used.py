import torch
import torch.nn as nn


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(5, 8)
        self.policy = nn.Linear(8, 3)
        self.value = nn.Linear(8, 1)

    def forward(self, x):
        h = torch.tanh(self.trunk(x))
        return self.policy(h), self.value(h)


torch.manual_seed(0)
model = TwoHeads()
optimizer = torch.optim.Adam(model.parameters())
for _ in range(5):
    x, y = torch.randn(6, 5), torch.randint(0, 3, (6,))
    logits, value = model(x)
    loss = nn.functional.cross_entropy(logits, y)  # culprit
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
