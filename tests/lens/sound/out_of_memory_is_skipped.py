import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
skipped = 0
for step in range(6):
    try:
        x = torch.randn(8, 4 if step != 2 else 5)
        loss = (net(x) - 1).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    except RuntimeError:
        skipped += 1
        continue
    if not torch.isfinite(loss):
        print("bad batch")
        continue
print(skipped)
