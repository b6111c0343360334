import torch
import torch.nn.functional as F
from torch import nn


class Gate(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.score = nn.Linear(n, n)
        self.value = nn.Linear(n, n)

    def forward(self, x):
        gate = torch.sigmoid(self.score(x))
        hard = (gate > 0.5).float()  # culprit
        return hard * self.value(x)


torch.manual_seed(0)
gate = Gate(6)
optimizer = torch.optim.RMSprop(gate.parameters())
for i in range(6):
    x = torch.randn(12, 6)
    loss = F.smooth_l1_loss(gate(x), x.abs())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
