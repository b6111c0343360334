import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(40, 3)
y = x @ torch.tensor([1.0, -2.0, 0.5]) + 0.1 * torch.randn(40)
model = nn.Linear(3, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=1)
snapshots, best, patience = [], None, 0
for epoch in range(12):
    model.train()
    loss = nn.functional.mse_loss(model(x[:30]).squeeze(1), y[:30])
    opt.zero_grad()
    loss.backward()
    opt.step()
    model.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(model(x[30:]).squeeze(1), y[30:])
    scheduler.step(val)
    snapshots.append({k: v.clone() for k, v in model.state_dict().items()})
    if best is None or val < best:
        best, patience = val, 0
    else:
        patience += 1
        if patience > 3:
            break
