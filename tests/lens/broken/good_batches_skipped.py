import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(5, 2)
opt = torch.optim.Adam(net.parameters())
seen = []
for _ in range(6):
    x, y = torch.randn(8, 5), torch.randint(0, 2, (8,))
    loss = nn.functional.cross_entropy(net(x), y)
    if torch.isfinite(loss):  # culprit
        seen.append(loss.item())
        continue
    opt.zero_grad()
    loss.backward()
    opt.step()
