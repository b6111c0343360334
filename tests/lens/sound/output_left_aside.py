import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(20, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.pooler = nn.Linear(8, 8)

    def forward(self, t):
        h = self.layer(self.emb(t))
        return h, torch.tanh(self.pooler(h[:, 0]))


bert, cls = Bert(), nn.Linear(8, 3)
opt = torch.optim.AdamW([*bert.parameters(), *cls.parameters()], lr=1e-3)
for _ in range(5):
    h, _ = bert(torch.randint(0, 20, (4, 6)))
    loss = F.cross_entropy(cls(h.mean(1)), torch.randint(0, 3, (4,)))
    opt.zero_grad()
    loss.backward()
    opt.step()
