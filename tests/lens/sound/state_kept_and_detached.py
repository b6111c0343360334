import torch
import torch.nn as nn


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 6), nn.Linear(6, 1)
        self.state = None

    def reset(self, n):
        self.state = torch.zeros(n, 6)

    def forward(self, x):
        h = self.state
        outs = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            outs.append(self.out(h))
        self.state = h.detach()
        return torch.stack(outs, 1)


torch.manual_seed(0)
net = Stateful()
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(2):
    net.reset(4)
    for _ in range(5):
        x = torch.randn(4, 6, 3)
        loss = (net(x)[..., 0] - x.sum(-1)).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
