import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 8)
        self.classifier = nn.Linear(8, 3)

    def forward(self, x):
        return self.classifier(torch.relu(self.encoder(x)))


net = Net()
for name, p in net.named_parameters():
    if "encoder" in name:
        p.requires_grad = False
opt = torch.optim.Adam([p for n, p in net.named_parameters() if "encoder" in n])  # culprit
for _ in range(6):
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
