import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 8), nn.PReLU(), nn.Linear(8, 3))
criterion = nn.TripletMarginLoss(margin=1.0)
opt = torch.optim.Adamax(net.parameters(), lr=1e-2)
for _ in range(6):
    anchor = torch.randn(8, 5)
    positive, negative = anchor + 0.1 * torch.randn(8, 5), torch.randn(8, 5)
    loss = criterion(net(anchor), net(positive), net(negative))
    opt.zero_grad()
    loss.backward()
    opt.step()
