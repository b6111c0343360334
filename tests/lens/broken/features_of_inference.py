import torch
import torch.nn as nn

torch.manual_seed(0)
body, head = nn.Linear(6, 8), nn.Linear(8, 2)
opt = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)


@torch.inference_mode()  # culprit
def features(x):
    return torch.relu(body(x))


for _ in range(3):
    loss = nn.functional.cross_entropy(head(features(torch.randn(8, 6))), torch.randint(0, 2, (8,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
