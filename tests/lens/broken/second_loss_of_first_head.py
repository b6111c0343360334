import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.age, self.sex = nn.Linear(6, 8), nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x):
        h = self.trunk(x).relu()
        return {"age": self.age(h), "sex": self.sex(h)}


torch.manual_seed(0)
net = Net()
opt = torch.optim.Adam(net.parameters())
for i in range(8):
    x = torch.randn(12, 6)
    out = net(x)
    age_loss = F.mse_loss(out["age"], x[:, :1])
    sex_loss = F.binary_cross_entropy_with_logits(out["age"], (x[:, 1:2] > 0).float())  # culprit
    loss = age_loss + sex_loss
    opt.zero_grad()
    loss.backward()
    opt.step()
