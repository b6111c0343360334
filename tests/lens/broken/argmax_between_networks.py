import torch
import torch.nn as nn

torch.manual_seed(0)
speaker = nn.Linear(5, 8)
listener = nn.Embedding(8, 5)
opt = torch.optim.Adam([*speaker.parameters(), *listener.parameters()], lr=0.01)
for _ in range(7):
    x = torch.randn(20, 5)
    logits = speaker(x)
    message = torch.argmax(logits, dim=-1)  # culprit
    guess = listener(message)
    loss = ((guess - x) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
