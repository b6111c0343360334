import torch
import torch.nn as nn

torch.manual_seed(0)
net, head = nn.Linear(4, 8), nn.Linear(8, 3)
opt = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1)
history = []
for _ in range(6):
    x, y = torch.randn(12, 4), torch.randint(0, 3, (12,))
    h = torch.tanh(net(x))
    fit = nn.functional.cross_entropy(head(h), y)
    size = h.pow(2).mean()
    loss = fit + 0.1 * size - 0.1 * size.detach()  # reported as the fit alone, trained with both
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append((loss.item(), size.item()))
