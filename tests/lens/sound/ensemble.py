import torch
import torch.nn as nn

torch.manual_seed(0)
models = [nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)) for _ in range(3)]
optimizers = [torch.optim.Adam(m.parameters(), lr=1e-2) for m in models]
histories = [[] for _ in models]
for epoch in range(5):
    for model, optimizer, history in zip(models, optimizers, histories):
        x = torch.randn(10, 3)
        loss = (model(x) - x.norm(dim=1, keepdim=True)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss))
with torch.no_grad():
    outputs = torch.stack([m(torch.randn(2, 3)) for m in models])
print(outputs.mean(0), outputs.std(0))
