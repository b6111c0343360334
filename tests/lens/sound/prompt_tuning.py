import torch
from torch import nn


def main():
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    prompt = nn.Parameter(torch.zeros(6))
    optimizer = torch.optim.Adam([prompt], 1e-2)
    for _ in range(6):
        loss = nn.functional.cross_entropy(network(torch.randn(5, 6) + prompt), torch.randint(0, 3, (5,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


main()
