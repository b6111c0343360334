import copy

import torch
import torch.nn as nn
from torch.distributions import Normal


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.mu, self.log_std = nn.Linear(3, 16), nn.Linear(16, 1), nn.Linear(16, 1)

    def forward(self, s):
        h = torch.relu(self.body(s))
        log_std = torch.clamp(self.log_std(h), -20, 2)
        dist = Normal(self.mu(h), log_std.exp())
        u = dist.rsample()
        a = torch.tanh(u)
        log_prob = dist.log_prob(u) - torch.log(1 - a.pow(2) + 1e-6)
        return a, log_prob.sum(1, keepdim=True)


torch.manual_seed(0)
actor, q1 = Actor(), nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
q1_target = copy.deepcopy(q1)
log_alpha = torch.zeros(1, requires_grad=True)
alpha = log_alpha.exp().item()
actor_opt = torch.optim.Adam(actor.parameters(), lr=3e-4)
q_opt = torch.optim.Adam(q1.parameters(), lr=3e-4)
alpha_opt = torch.optim.Adam([log_alpha], lr=3e-4)
for _ in range(6):
    s, a, r, s2 = torch.randn(12, 3), torch.rand(12, 1), torch.randn(12, 1), torch.randn(12, 3)
    with torch.no_grad():
        a2, logp2 = actor(s2)
        target = r + 0.99 * (q1_target(torch.cat([s2, a2], 1)) - alpha * logp2)
    q_loss = nn.functional.mse_loss(q1(torch.cat([s, a], 1)), target)
    q_opt.zero_grad()
    q_loss.backward()
    q_opt.step()
    pi, logp = actor(s)
    actor_loss = (alpha * logp - q1(torch.cat([s, pi], 1))).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    with torch.no_grad():
        _, logp = actor(s)
    alpha_loss = (-log_alpha.exp() * (logp - 1.0)).mean()
    alpha_opt.zero_grad()
    alpha_loss.backward()
    alpha_opt.step()
    alpha = log_alpha.exp().item()
    for p, t in zip(q1.parameters(), q1_target.parameters()):
        t.data.mul_(0.99).add_(p.data, alpha=0.01)
