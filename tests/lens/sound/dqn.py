import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.l2(F.relu(self.l1(x)))


random.seed(0)
torch.manual_seed(0)
policy_net, target_net = QNet(), QNet()
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-3, amsgrad=True)
memory = deque(maxlen=200)


def select_action(state, eps):
    if random.random() > eps:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(2)]], dtype=torch.long)


def optimize():
    if len(memory) < 16:
        return
    batch = Transition(*zip(*random.sample(memory, 16)))
    mask = torch.tensor([s is not None for s in batch.next_state], dtype=torch.bool)
    following = torch.cat([s for s in batch.next_state if s is not None])
    values = policy_net(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
    next_values = torch.zeros(16)
    with torch.no_grad():
        next_values[mask] = target_net(following).max(1).values
    expected = next_values * 0.99 + torch.cat(batch.reward)
    loss = F.smooth_l1_loss(values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


for episode in range(6):
    state = torch.randn(1, 4)
    for t in range(8):
        action = select_action(state, 0.5)
        following = torch.randn(1, 4) if t < 7 else None
        memory.append(Transition(state, action, following, torch.tensor([float(action.item())])))
        state = following if following is not None else torch.randn(1, 4)
        optimize()
        target, online = target_net.state_dict(), policy_net.state_dict()
        for key in online:
            target[key] = online[key] * 0.05 + target[key] * 0.95
        target_net.load_state_dict(target)
