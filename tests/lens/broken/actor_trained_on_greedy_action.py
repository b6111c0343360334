import torch
import torch.nn as nn
import torch.nn.functional as F


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Linear(4, 3)
        self.critic = nn.Linear(4 + 3, 1)

    def act(self, s):
        return self.actor(s).max(dim=1).indices  # culprit

    def q(self, s, a):
        return self.critic(torch.cat([s, F.one_hot(a, 3).float()], dim=1))


torch.manual_seed(0)
agent = ActorCritic()
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)
for _ in range(6):
    s = torch.randn(10, 4)
    a = agent.act(s)
    loss = -agent.q(s, a).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
