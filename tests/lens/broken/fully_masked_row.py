import torch
import torch.nn as nn


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x, mask):
        scores = self.q(x) @ self.k(x).transpose(-2, -1) / x.shape[-1] ** 0.5
        scores = scores.masked_fill(mask[:, None, :] == 0, float("-inf"))  # culprit
        weights = torch.softmax(scores, dim=-1)
        return weights @ self.v(x)


torch.manual_seed(0)
attention = Attention(4)
opt = torch.optim.Adam(attention.parameters())
for _ in range(3):
    x = torch.randn(2, 5, 4)
    mask = torch.ones(2, 5)
    mask[1] = 0
    loss = attention(x, mask).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
