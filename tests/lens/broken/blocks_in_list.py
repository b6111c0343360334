import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lin = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)

    def forward(self, x):
        return x + F.gelu(self.lin(self.norm(x)))


class Net(nn.Module):
    def __init__(self, d=8, depth=3):
        super().__init__()
        self.inp = nn.Linear(4, d)
        self.blocks = [Block(d) for _ in range(depth)]  # culprit
        self.out = nn.Linear(d, 2)

    def forward(self, x):
        x = self.inp(x)
        for b in self.blocks:
            x = b(x)
        return self.out(x)


net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
for _ in range(8):
    x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
