import copy

import torch
import torch.nn as nn

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1), nn.Tanh())
critic = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
actor_target, critic_target = copy.deepcopy(actor), copy.deepcopy(critic)
actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-3)
for _ in range(10):
    s, a, r, s2 = torch.randn(16, 3), torch.rand(16, 1) * 2 - 1, torch.randn(16, 1), torch.randn(16, 3)
    with torch.no_grad():
        y = r + 0.99 * critic_target(torch.cat([s2, actor_target(s2)], 1))
    critic_loss = (critic(torch.cat([s, a], 1)) - y).pow(2).mean()
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()
    actor_loss = -critic(torch.cat([s, actor(s)], 1)).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    for target, net in ((actor_target, actor), (critic_target, critic)):
        for p_target, p in zip(target.parameters(), net.parameters()):
            p_target.data.copy_(0.995 * p_target.data + 0.005 * p.data)
