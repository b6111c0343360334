import torch
import torch.nn as nn

torch.manual_seed(0)
cell = nn.GRUCell(3, 8)
readout = nn.Linear(8, 1)
optimizer = torch.optim.Adam([*cell.parameters(), *readout.parameters()])
hidden = torch.zeros(4, 8)
for step in range(5):
    x = torch.randn(4, 3)
    hidden = cell(x, hidden)  # culprit
    loss = readout(hidden).pow(2).mean()
    optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()
