import torch
import torch.nn as nn
import torch.nn.functional as F


class MoCo(nn.Module):
    def __init__(self, d=8, k=16, m=0.99):
        super().__init__()
        self.m = m
        self.encoder_q, self.encoder_k = nn.Linear(6, d), nn.Linear(6, d)
        for q, k_ in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            k_.data.copy_(q.data)
            k_.requires_grad = False
        self.register_buffer("queue", F.normalize(torch.randn(d, k), dim=0))
        self.register_buffer("ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _momentum_update(self):
        for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            k.data = k.data * self.m + q.data * (1 - self.m)

    @torch.no_grad()
    def _enqueue(self, keys):
        n, p = keys.shape[0], int(self.ptr)
        self.queue[:, p : p + n] = keys.T
        self.ptr[0] = (p + n) % self.queue.shape[1]

    def forward(self, a, b):
        q = F.normalize(self.encoder_q(a), dim=1)
        with torch.no_grad():
            self._momentum_update()
            k = F.normalize(self.encoder_k(b), dim=1)
        positive = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        negative = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        logits = torch.cat([positive, negative], dim=1) / 0.07
        self._enqueue(k)
        return logits, torch.zeros(len(logits), dtype=torch.long)


torch.manual_seed(0)
model = MoCo()
opt = torch.optim.SGD(model.parameters(), lr=0.03)
for _ in range(6):
    x = torch.randn(4, 6)
    logits, labels = model(x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x))
    loss = F.cross_entropy(logits, labels)
    opt.zero_grad()
    loss.backward()
    opt.step()
