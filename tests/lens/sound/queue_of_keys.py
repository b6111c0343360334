import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
q, k = nn.Linear(6, 4), nn.Linear(6, 4)
k.load_state_dict(q.state_dict())
for p in k.parameters():
    p.requires_grad = False
queue = F.normalize(torch.randn(4, 32), dim=0)
ptr = 0
opt = torch.optim.SGD(q.parameters(), lr=0.03)
for _ in range(8):
    x = torch.randn(8, 6)
    zq = F.normalize(q(x), dim=1)
    with torch.no_grad():
        for a, b in zip(k.parameters(), q.parameters()):
            a.data = a.data * 0.99 + b.data * 0.01
        zk = F.normalize(k(x + 0.1), dim=1)
    logits = torch.cat([(zq * zk).sum(1, keepdim=True), zq @ queue.clone().detach()], 1) / 0.07
    loss = F.cross_entropy(logits, torch.zeros(8, dtype=torch.long))
    opt.zero_grad()
    loss.backward()
    opt.step()
    queue[:, ptr : ptr + 8] = zk.t()
    ptr = (ptr + 8) % 32
