import torch
import torch.nn as nn


class Speaker(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 10, batch_first=True)
        self.out = nn.Linear(10, 5)

    def forward(self, x, state):
        h, state = self.lstm(x, state)
        return self.out(h), state


torch.manual_seed(0)
model = Speaker()
optimizer = torch.optim.Adam(model.parameters())
state = (torch.zeros(1, 2, 10), torch.zeros(1, 2, 10))
for chunk in torch.randn(4, 2, 6, 5):
    logits, state = model(chunk, state)  # culprit
    loss = nn.functional.mse_loss(logits[:, :-1], chunk[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
