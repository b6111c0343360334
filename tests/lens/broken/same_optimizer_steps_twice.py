import torch
import torch.nn as nn

torch.manual_seed(0)
writer, reader = nn.Linear(4, 4), nn.Linear(4, 1)
writing, reading = (torch.optim.Adam(m.parameters(), lr=1e-2) for m in (writer, reader))
for _ in range(7):
    x = torch.randn(8, 4)
    loss = (reader(writer(x).detach()) - x[:, :1]).pow(2).mean()
    reading.zero_grad()
    loss.backward()
    reading.step()
    loss = reader(writer(x)).pow(2).mean()
    writing.zero_grad()
    loss.backward()
    reading.step()  # culprit
