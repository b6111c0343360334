import torch
import torch.nn as nn

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
critic = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
actor_opt = torch.optim.Adam(actor.parameters())
critic_opt = torch.optim.Adam(critic.parameters())
for _ in range(3):
    state = torch.randn(6, 4)
    action = actor(state)
    value = critic(action)
    critic_loss = (value - 1).pow(2).mean()
    actor_loss = -value.mean()
    critic_opt.zero_grad()
    critic_loss.backward(retain_graph=True)
    critic_opt.step()  # culprit
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
