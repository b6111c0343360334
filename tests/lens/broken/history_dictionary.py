from collections import defaultdict

import torch
import torch.nn as nn


class Experiment:
    def __init__(self):
        self.model = nn.Sequential(nn.Linear(5, 5), nn.Sigmoid(), nn.Linear(5, 1))
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=1e-3)
        self.history = defaultdict(list)

    def run(self, steps):
        for _ in range(steps):
            x = torch.randn(10, 5)
            out = self.model(x)
            loss = nn.functional.binary_cross_entropy_with_logits(out, (x[:, :1] > 0).float())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.history["loss"].append(loss)  # culprit
            self.history["norm"].append(sum(p.norm().item() for p in self.model.parameters()))


torch.manual_seed(0)
experiment = Experiment()
experiment.run(20)
