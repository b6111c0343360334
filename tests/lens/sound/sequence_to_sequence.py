import random

import torch
import torch.nn as nn


class Seq2Seq(nn.Module):
    def __init__(self, n, d=12):
        super().__init__()
        self.embed = nn.Embedding(n, d)
        self.encoder, self.decoder = nn.GRU(d, d, batch_first=True), nn.GRUCell(d, d)
        self.out = nn.Linear(d, n)

    def forward(self, source, target, forcing=0.5):
        _, hidden = self.encoder(self.embed(source))
        hidden, token, outputs = hidden[0], torch.zeros(len(source), dtype=torch.long), []
        for t in range(target.shape[1]):
            hidden = self.decoder(self.embed(token), hidden)
            logits = self.out(hidden)
            outputs.append(logits)
            token = target[:, t] if random.random() < forcing else logits.argmax(1).detach()
        return torch.stack(outputs, 1)


random.seed(0)
torch.manual_seed(0)
model = Seq2Seq(9)
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
print_total, plot = 0, []
for step in range(6):
    source = torch.randint(1, 9, (5, 6))
    logits = model(source, source.flip(1))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), source.flip(1).flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print_total += loss.item()
    if step % 3 == 2:
        plot.append(print_total / 3)
        print_total = 0
