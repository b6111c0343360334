import torch
import torch.nn as nn


class Agent:
    def __init__(self):
        self.online = nn.Linear(4, 2)
        self.target = self.online  # culprit
        for p in self.target.parameters():
            p.requires_grad = False
        self.opt = torch.optim.Adam(self.online.parameters())

    def learn(self, s, s2):
        with torch.no_grad():
            y = 1 + 0.9 * self.target(s2).max(1).values
        loss = (self.online(s).max(1).values - y).pow(2).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()


torch.manual_seed(0)
agent = Agent()
for _ in range(3):
    agent.learn(torch.randn(8, 4), torch.randn(8, 4))
