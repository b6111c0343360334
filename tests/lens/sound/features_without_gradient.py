import torch
import torch.nn as nn

torch.manual_seed(0)
extractor = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
extractor.eval()
probe = nn.Linear(12, 2)
optimizer = torch.optim.LBFGS(probe.parameters(), lr=0.5, max_iter=4)
x = torch.randn(40, 6)
y = (x[:, 0] > 0).long()
with torch.no_grad():
    features = extractor(x)


def closure():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(probe(features), y)
    loss.backward()
    return loss


for _ in range(3):
    print(optimizer.step(closure).item())
