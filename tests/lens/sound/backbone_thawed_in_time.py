import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.backbone(x))


def set_trainable(module, flag):
    for p in module.parameters():
        p.requires_grad = flag


torch.manual_seed(0)
net = Net()
set_trainable(net.backbone, False)
opt = torch.optim.AdamW(
    [
        {"params": net.backbone.parameters(), "lr": 1e-4},
        {"params": net.head.parameters(), "lr": 1e-3},
    ]
)
for epoch in range(4):
    if epoch == 2:
        set_trainable(net.backbone, True)
    for _ in range(3):
        x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
