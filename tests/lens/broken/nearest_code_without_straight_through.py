import torch
import torch.nn as nn


class VectorQuantiser(nn.Module):
    def __init__(self, codes, width):
        super().__init__()
        self.book = nn.Parameter(torch.randn(codes, width))

    def forward(self, z):
        distance = torch.cdist(z, self.book)
        nearest = distance.argmin(dim=1)  # culprit
        return self.book[nearest]


torch.manual_seed(0)
encoder, quantiser, decoder = nn.Linear(8, 3), VectorQuantiser(5, 3), nn.Linear(3, 8)
modules = nn.ModuleList([encoder, quantiser, decoder])
optimizer = torch.optim.Adam(modules.parameters(), lr=1e-2)
for step in range(6):
    x = torch.randn(16, 8)
    loss = (decoder(quantiser(encoder(x))) - x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
