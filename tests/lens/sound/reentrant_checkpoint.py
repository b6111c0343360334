import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
stem = nn.Linear(4, 4)
head = nn.Linear(8, 2)
opt = torch.optim.SGD([*stem.parameters(), *body.parameters(), *head.parameters()], lr=0.1)
for _ in range(5):
    h = stem(torch.randn(8, 4))
    h = checkpoint(body, h, use_reentrant=True)
    loss = F.cross_entropy(head(h), torch.randint(0, 2, (8,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
