import torch
from torch import nn, optim


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(12, 3)
        self.dec = nn.Linear(3, 12)

    def forward(self, x):
        code = self.enc(x).data  # culprit
        return self.dec(code)


torch.manual_seed(0)
ae = AutoEncoder()
optimizer = optim.Adagrad(ae.parameters(), lr=0.1)
criterion = nn.L1Loss()
for epoch in range(4):
    total = 0.0
    for batch in torch.randn(3, 8, 12):
        optimizer.zero_grad()
        loss = criterion(ae(batch), batch)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: {total:.3f}")
