import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


torch.manual_seed(0)
net = MLP([4, 8, 8, 1])
opt = torch.optim.SGD(net.parameters(), lr=0.05)
for _ in range(6):
    x = torch.randn(8, 4)
    out = net(x)
    loss = (out - x.prod(1, keepdim=True)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    mae = (out - x.prod(1, keepdim=True)).abs().mean()
    print(f"{loss.item():.3f} {mae.item():.3f}")
