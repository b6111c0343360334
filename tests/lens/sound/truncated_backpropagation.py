import torch
import torch.nn as nn


class CharModel(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.embed = nn.Embedding(n, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.out = nn.Linear(16, n)

    def forward(self, x, state):
        h, state = self.lstm(self.embed(x), state)
        return self.out(h), state


torch.manual_seed(0)
text = torch.randint(0, 10, (4, 61))
model = CharModel(10)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(2):
    state = (torch.zeros(1, 4, 16), torch.zeros(1, 4, 16))
    for start in range(0, 60, 10):
        x, y = text[:, start : start + 10], text[:, start + 1 : start + 11]
        state = tuple(s.detach() for s in state)
        logits, state = model(x, state)
        loss = nn.functional.cross_entropy(logits.reshape(-1, 10), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
