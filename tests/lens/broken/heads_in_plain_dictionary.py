import torch
from torch import nn


class TwoTasks(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(5, 6)
        self.heads = {task: nn.Linear(6, 1) for task in ("age", "height")}  # culprit

    def forward(self, x):
        features = torch.relu(self.trunk(x))
        return [head(features) for head in self.heads.values()]


def main():
    net = TwoTasks()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(6):
        loss = sum(out.pow(2).mean() for out in net(torch.randn(4, 5)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


main()
