import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(0)
policy = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
for episode in range(4):
    log_probs, rewards = [], []
    for t in range(5):
        state = torch.randn(4)
        dist = Categorical(logits=policy(state))
        action = dist.sample()
        log_probs.append(dist.log_prob(action).item())  # culprit
        rewards.append(1.0 if action.item() == int(state[0] > 0) else 0.0)
    returns = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
    loss = -(torch.tensor(log_probs, requires_grad=True) * returns).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
