import torch
import torch.nn as nn


class Agent:
    def __init__(self):
        self.actor, self.critic = nn.Linear(3, 1), nn.Linear(4, 1)
        self.opt_a = torch.optim.Adam(self.actor.parameters(), lr=1e-2)
        self.opt_c = torch.optim.Adam(self.critic.parameters(), lr=1e-2)

    def act(self, s):
        return torch.tanh(self.actor(s)).detach()

    def learn(self, s, a, r):
        loss = (self.critic(torch.cat([s, a], 1)) - r).pow(2).mean()
        self.opt_c.zero_grad()
        loss.backward()
        self.opt_c.step()
        gain = self.critic(torch.cat([s, self.act(s)], 1)).mean()  # culprit
        self.opt_a.zero_grad()
        (-gain).backward()
        self.opt_a.step()


torch.manual_seed(0)
agent = Agent()
for _ in range(6):
    s = torch.randn(8, 3)
    a = agent.act(s)
    agent.learn(s, a, -(a - s[:, :1]).pow(2))
