import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
rnn, out = nn.GRUCell(5, 8), nn.Linear(8, 5)
opt = torch.optim.Adam([*rnn.parameters(), *out.parameters()])
for _ in range(4):
    h = torch.zeros(1, 8)
    loss = 0
    seq = torch.randint(0, 5, (7,))
    for t in range(6):
        h = rnn(F.one_hot(seq[t : t + 1], 5).float(), h)
        loss = loss + F.cross_entropy(out(h), seq[t + 1 : t + 2])
    opt.zero_grad()
    loss.backward()
    opt.step()
h = torch.zeros(1, 8)
c = 0
text = []
for _ in range(30):
    h = rnn(F.one_hot(torch.tensor([c]), 5).float(), h)
    c = out(h).softmax(1).multinomial(1).item()
    text.append(c)
