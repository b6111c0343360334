import torch
import torch.nn as nn
from torch.distributions import Normal


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.mu = nn.Linear(6, 2)
        self.log_sigma = nn.Linear(6, 2)

    def forward(self, x):
        q = Normal(self.mu(x), self.log_sigma(x).exp())
        return q.sample()  # culprit


torch.manual_seed(0)
encoder, decoder = Encoder(), nn.Linear(2, 6)
opt = torch.optim.Adam(list(encoder.parameters()) + list(decoder.parameters()))
for _ in range(5):
    x = torch.randn(10, 6)
    loss = nn.functional.mse_loss(decoder(encoder(x)), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
