import torch
import torch.nn as nn

torch.manual_seed(0)


class T:
    losses = []

    def __init__(self):
        self.m = nn.Linear(3, 1)
        self.o = torch.optim.SGD(self.m.parameters(), lr=0.01)

    def step(self):
        l = self.m(torch.randn(4, 3)).tanh().pow(2).mean()
        self.o.zero_grad()
        l.backward()
        self.o.step()
        T.losses += [l]  # culprit


t = T()
for _ in range(20):
    t.step()
