import torch
import torch.nn as nn

torch.manual_seed(0)
policy = nn.Linear(4, 2)
opt = torch.optim.Adam(policy.parameters(), lr=0.05)
for generation in range(5):
    start = [p.detach().clone() for p in policy.parameters()]
    estimate = [torch.zeros_like(p) for p in start]
    for _ in range(6):
        noise = [torch.randn_like(p) for p in start]
        with torch.no_grad():
            for p, s, n in zip(policy.parameters(), start, noise):
                p.copy_(s + 0.1 * n)
            score = -(policy(torch.ones(8, 4)) - 1).pow(2).mean().item()
        for e, n in zip(estimate, noise):
            e -= score * n / 6
    with torch.no_grad():
        for p, s in zip(policy.parameters(), start):
            p.copy_(s)
    for p, e in zip(policy.parameters(), estimate):
        p.grad = e
    opt.step()
