import numpy as np
import torch
import torch.nn as nn


class Meter:
    def __init__(self):
        self.sum = self.count = 0

    def update(self, value, n=1):
        self.sum += value * n
        self.count += n


torch.manual_seed(0)
model = nn.Linear(6, 2)
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
meter, history, embeddings = Meter(), [], []
for step in range(10):
    x = torch.randn(8, 6)
    y = (x.sum(1) > 0).long()
    out = model(x)
    loss = nn.functional.cross_entropy(out, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    meter.update(loss.item(), len(x))
    history.append(loss.detach().cpu().numpy())
    embeddings.append(out.detach())
    predicted = out.data.max(1)[1]
    correct = predicted.eq(y.data).cpu().sum()
    grads = {n: p.grad.norm().item() for n, p in model.named_parameters()}
    if float(loss) < 0.1 or bool(loss > 100):
        break
print(np.mean(history), torch.cat(embeddings).shape, meter.sum / meter.count, correct.tolist(), grads)
