import torch
import torch.nn as nn
from torch.distributions import Normal


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
        self.logstd = nn.Parameter(torch.zeros(1, 2))
        self.critic = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))

    def evaluate(self, s, a=None):
        dist = Normal(self.mean(s), self.logstd.exp().expand(len(s), 2))
        a = dist.sample() if a is None else a
        return a, dist.log_prob(a).sum(1), dist.entropy().sum(1), self.critic(s).view(-1)


torch.manual_seed(0)
agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)
for update in range(4):
    states = torch.randn(16, 3)
    with torch.no_grad():
        actions, old_log_probs, _, values = agent.evaluate(states)
        rewards = -(actions**2).sum(1)
        advantages = rewards - values
        returns = advantages + values
    for epoch in range(3):
        for index in torch.randperm(16).split(8):
            _, log_probs, entropy, new_values = agent.evaluate(states[index], actions[index])
            ratio = (log_probs - old_log_probs[index]).exp()
            with torch.no_grad():
                approx_kl = ((ratio - 1) - (log_probs - old_log_probs[index])).mean()
            adv = advantages[index]
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            pg = torch.max(-adv * ratio, -adv * ratio.clamp(0.8, 1.2)).mean()
            v_loss = 0.5 * (new_values - returns[index]).pow(2).mean()
            loss = pg - 0.01 * entropy.mean() + 0.5 * v_loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
        if approx_kl > 10:
            break
