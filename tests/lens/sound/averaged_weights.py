import copy

import torch
import torch.nn as nn


class EMA:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.mul_(self.decay).add_(p, alpha=1 - self.decay)


torch.manual_seed(0)
model = nn.Linear(4, 2)
ema = EMA(model, 0.9)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-2)
best, best_state = float("inf"), None
for _ in range(8):
    x = torch.randn(10, 4)
    loss = (model(x) - x[:, :2]).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema.update(model)
    if loss.item() < best:
        best, best_state = loss.item(), {k: v.detach().clone() for k, v in model.state_dict().items()}
model.load_state_dict(best_state)
