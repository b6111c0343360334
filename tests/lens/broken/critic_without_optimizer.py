import torch
from torch import nn


class Agent:
    def __init__(self):
        self.actor = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        self.critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.optimizer = torch.optim.Adam(self.actor.parameters(), lr=1e-3)  # culprit

    def update(self, states, actions, returns):
        values = self.critic(states).squeeze(-1)
        chosen = torch.log_softmax(self.actor(states), -1).gather(1, actions).squeeze(-1)
        loss = -(chosen * (returns - values.detach())).mean() + 0.5 * (returns - values).pow(2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


agent = Agent()
for _ in range(6):
    agent.update(torch.randn(5, 4), torch.randint(0, 2, (5, 1)), torch.randn(5))
