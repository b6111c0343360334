import torch
import torch.nn as nn


def evaluate(net, x):
    error = (net(x) - x.sum(1, keepdim=True)).abs()
    return error.mean().item()  # culprit


torch.manual_seed(0)
net = nn.Linear(4, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(3):
    loss = evaluate(net, torch.randn(8, 4))
    opt.zero_grad()
    loss.backward()
    opt.step()
