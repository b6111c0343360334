import torch
import torch.nn as nn
import torch.nn.functional as F


class Quantiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 3)
        self.embedding.weight.data.uniform_(-1 / 6, 1 / 6)

    def forward(self, z):
        d = z.pow(2).sum(1, keepdim=True) + self.embedding.weight.pow(2).sum(1) - 2 * z @ self.embedding.weight.t()
        index = torch.argmin(d, dim=1).unsqueeze(1)
        encodings = torch.zeros(len(z), 6).scatter_(1, index, 1)
        q = encodings @ self.embedding.weight
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        q = z + (q - z).detach()
        used = encodings.mean(0)
        perplexity = torch.exp(-torch.sum(used * torch.log(used + 1e-10)))
        return q, loss, perplexity


torch.manual_seed(0)
encoder, quantiser, decoder = nn.Linear(8, 3), Quantiser(), nn.Linear(3, 8)
params = [*encoder.parameters(), *quantiser.parameters(), *decoder.parameters()]
opt = torch.optim.Adam(params, lr=1e-2)
history = []
for _ in range(8):
    x = torch.randn(16, 8)
    q, vq_loss, perplexity = quantiser(encoder(x))
    loss = F.mse_loss(decoder(q), x) + vq_loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append(perplexity.item())
