import numpy as np
import torch
import torch.nn as nn


class Smoother(nn.Module):
    """Smooths its input with NumPy between two layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 1)

    def smooth(self, h):
        a = h.detach().numpy()  # culprit
        kernel = np.array([0.25, 0.5, 0.25], dtype=np.float32)
        rows = [np.convolve(row, kernel, mode="same") for row in a]
        return torch.from_numpy(np.stack(rows).astype(np.float32))

    def forward(self, x):
        return self.second(self.smooth(torch.tanh(self.first(x))))


torch.manual_seed(0)
model = Smoother()
opt = torch.optim.Adam(model.parameters())
for _ in range(6):
    x = torch.randn(10, 6)
    loss = (model(x) - x.mean(1, keepdim=True)).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
