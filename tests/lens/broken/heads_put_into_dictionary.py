import torch
import torch.nn as nn

torch.manual_seed(0)


class MT(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.heads = {}
        for t in tasks:
            self.heads[t] = nn.Linear(6, 1)  # culprit

    def forward(self, x, t):
        return self.heads[t](torch.relu(self.body(x)))


net = MT(["a", "b"])
opt = torch.optim.Adam(net.parameters())
for i in range(8):
    loss = net(torch.randn(8, 4), "ab"[i % 2]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
