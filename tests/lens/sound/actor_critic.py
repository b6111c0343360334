import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Linear(4, 16)
        self.pi = nn.Linear(16, 2)
        self.v = nn.Linear(16, 1)

    def forward(self, x):
        h = torch.tanh(self.base(x))
        return Categorical(logits=self.pi(h)), self.v(h)


torch.manual_seed(0)
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for episode in range(8):
    log_probs, values, rewards, entropies = [], [], [], []
    for _ in range(6):
        s = torch.randn(4)
        dist, value = net(s)
        a = dist.sample()
        log_probs.append(dist.log_prob(a))
        values.append(value.squeeze())
        entropies.append(dist.entropy())
        rewards.append(1.0 if int(a) == int(s[0] > 0) else 0.0)
    returns, g = [], 0.0
    for r in reversed(rewards):
        g = r + 0.9 * g
        returns.insert(0, g)
    returns = torch.tensor(returns)
    values = torch.stack(values)
    advantage = returns - values
    actor_loss = -(torch.stack(log_probs) * advantage.detach()).mean()
    critic_loss = F.mse_loss(values, returns)
    loss = actor_loss + 0.5 * critic_loss - 0.01 * torch.stack(entropies).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    opt.step()
