import torch
import torch.nn as nn

m = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
opt = torch.optim.SGD(m.parameters(), lr=0.1)


def train():
    for i in range(4):
        x = torch.randn(5, 3)
        loss = (m(x) - 1).pow(2).mean()
        loss.backward()
        for p in m.parameters():
            p.grad = None  # culprit
        opt.step()


train()
