import torch
import torch.nn as nn

torch.manual_seed(0)
emb, net = nn.Embedding(12, 6), nn.Linear(6, 12)
slow, fast = torch.optim.SGD(emb.parameters(), lr=0.1), torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(8):
    t = torch.randint(0, 12, (16,))
    loss = nn.functional.cross_entropy(net(emb(t)), (t + 1) % 12)
    loss.backward()
    fast.step()
    fast.zero_grad()
    if step % 2:
        slow.step()
        slow.zero_grad()
