import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(6):
    x, y = torch.randn(12, 6), torch.randint(0, 3, (12,))
    logits = net(x)
    loss = F.cross_entropy(logits, y)
    entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    weight_norm = sum(p.norm() for p in net.parameters())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 2 == 0:
        print(f"{loss.item():.3f} {entropy:.3f} {float(weight_norm):.3f}")
