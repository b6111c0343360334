import torch
import torch.nn as nn

torch.manual_seed(0)
body, head = nn.Linear(5, 6), nn.Linear(6, 2)
body.requires_grad = False  # culprit
opt = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
for i in range(8):
    loss = nn.functional.cross_entropy(head(body(torch.randn(8, 5)).tanh()), torch.randint(0, 2, (8,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
