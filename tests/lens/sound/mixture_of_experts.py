import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class MoE(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 6)
        self.experts = nn.ModuleList(nn.Linear(4, 2) for _ in range(6))

    def forward(self, x):
        w, idx = torch.softmax(self.gate(x), -1).topk(1, dim=-1)
        out = torch.zeros(x.size(0), 2)
        for i, e in enumerate(self.experts):
            rows = (idx[:, 0] == i).nonzero().squeeze(1)
            if rows.numel():
                out = out.index_add(0, rows, e(x[rows]) * w[rows])
        return out


net = MoE()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for _ in range(4):
    x, y = torch.randn(3, 4), torch.randint(0, 2, (3,))
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
