import torch
import torch.nn as nn

torch.manual_seed(0)
shared = nn.Linear(6, 6)
head_a, head_b = nn.Linear(6, 1), nn.Linear(6, 1)
opt = torch.optim.Adam([*shared.parameters(), *head_a.parameters(), *head_b.parameters()])
weight_a, weight_b = 1.0, 0.0
for _ in range(5):
    x = torch.randn(12, 6)
    h = torch.relu(shared(x))
    loss_a = (head_a(h) - 1).pow(2).mean()
    loss_b = (head_b(h) + 1).pow(2).mean()
    loss = weight_a * loss_a + weight_b * loss_b  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
