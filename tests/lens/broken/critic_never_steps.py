import torch
from torch import nn


def main():
    actor, critic = nn.Linear(3, 2), nn.Linear(3, 1)
    actor_optimizer = torch.optim.Adam(actor.parameters())
    critic_optimizer = torch.optim.Adam(critic.parameters())
    for _ in range(6):
        states, returns = torch.randn(4, 3), torch.randn(4)
        advantages = returns - critic(states).squeeze()
        actor_optimizer.zero_grad()
        (-torch.log_softmax(actor(states), 1)[:, 0] * advantages.detach()).mean().backward()
        actor_optimizer.step()
        critic_optimizer.zero_grad()
        advantages.pow(2).mean().backward()  # culprit


main()
