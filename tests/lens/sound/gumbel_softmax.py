import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
speaker, listener = nn.Linear(5, 8), nn.Linear(8, 5, bias=False)
opt = torch.optim.Adam([*speaker.parameters(), *listener.parameters()], lr=1e-2)
for step in range(8):
    x = torch.randn(12, 5)
    message = F.gumbel_softmax(speaker(x), tau=1.0, hard=True)
    loss = F.mse_loss(listener(message), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, message.argmax(1).bincount(minlength=8).tolist())
