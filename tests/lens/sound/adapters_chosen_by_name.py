import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class LoRA(nn.Module):
    def __init__(self, base, r=2):
        super().__init__()
        self.base = base
        self.A = nn.Parameter(torch.randn(r, base.in_features) * 0.01)
        self.B = nn.Parameter(torch.zeros(base.out_features, r))

    def forward(self, x):
        return self.base(x) + x @ self.A.t() @ self.B.t()


net = nn.Sequential(LoRA(nn.Linear(4, 8)), nn.LayerNorm(8), nn.ReLU(), LoRA(nn.Linear(8, 2)))
opt = torch.optim.AdamW([p for n, p in net.named_parameters() if n.endswith((".A", ".B"))], lr=1e-2)
for _ in range(6):
    x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
