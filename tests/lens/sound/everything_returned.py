import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        h, (hn, cn) = self.lstm(x)
        mixed, weights = self.attention(h, h, h)
        return {"logits": self.head(mixed.mean(1)), "hidden": hn, "weights": weights, "features": h}


def evaluate(model, x, y):
    with torch.no_grad():
        out = model(x)
    return (out["logits"].argmax(1) == y).float().mean().item(), out["weights"].mean().item()


torch.manual_seed(0)
model = Model()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(6):
    x, y = torch.randn(8, 5, 4), torch.randint(0, 2, (8,))
    out = model(x)
    loss = nn.functional.cross_entropy(out["logits"], y)
    norm = out["features"].norm()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), norm.item(), evaluate(model, x, y))
