import torch
import torch.nn as nn

torch.manual_seed(0)
trunk = nn.Linear(5, 8)
head_a, head_b = nn.Linear(8, 1), nn.Linear(8, 3)
params = [*trunk.parameters(), *head_a.parameters(), *head_b.parameters()]
opt = torch.optim.Adam(params, lr=1e-3)
for step in range(7):
    x = torch.randn(10, 5)
    h = torch.relu(trunk(x))
    loss = nn.functional.mse_loss(head_a(h), x[:, :1])
    loss = nn.functional.cross_entropy(head_b(h), (x.argmax(1) % 3))  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
