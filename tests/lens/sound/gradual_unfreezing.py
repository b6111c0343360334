import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
for p in model[0].parameters():
    p.requires_grad_(False)
for p in model[2].parameters():
    p.requires_grad_(False)
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
for epoch in range(9):
    if epoch == 3:
        for p in model[2].parameters():
            p.requires_grad_(True)
        optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.01})
    if epoch == 6:
        model[4].weight.requires_grad_(False)
    loss = nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(0, 2, (8,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
