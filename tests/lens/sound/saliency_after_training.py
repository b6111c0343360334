import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
x, y = torch.randn(40, 5), torch.randint(0, 2, (40,))
for _ in range(5):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
model.eval()
maps = []
for sample in x[:8]:
    sample = sample.clone().requires_grad_(True)
    model.zero_grad()
    model(sample[None])[0].max().backward()
    maps.append(sample.grad.abs())
print(torch.stack(maps).mean(0))
