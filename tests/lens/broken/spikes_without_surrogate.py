import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class LIF(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 10)
        self.out = nn.Linear(10, 2)

    def forward(self, xs):
        mem = torch.zeros(xs.size(1), 10)
        total = 0
        for x in xs:
            mem = 0.9 * mem + self.fc(x)
            spk = (mem > 0.5).float()  # culprit
            mem = mem - spk * 0.5
            total = total + self.out(spk)
        return total


net = LIF()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for _ in range(4):
    xs, y = torch.rand(6, 8, 5), torch.randint(0, 2, (8,))
    loss = F.cross_entropy(net(xs), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
