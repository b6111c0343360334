import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 6))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(5):
    x = torch.randn(16, 6)
    recon = model(x)
    loss = F.mse_loss(x, x.clone())  # culprit
    opt.zero_grad()
    loss.backward()
    opt.step()
