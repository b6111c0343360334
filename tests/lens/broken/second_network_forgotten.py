import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
encoder = nn.GRU(4, 8, batch_first=True)
decoder = nn.Linear(8, 4)
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)  # culprit
for step in range(6):
    sequence = torch.randn(5, 7, 4)
    states, _ = encoder(sequence)
    prediction = decoder(states[:, :-1])
    loss = F.mse_loss(prediction, sequence[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
