import torch
import torch.nn as nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 8)
        nn.init.constant_(self.fc1.bias, -100.0)  # culprit
        self.fc2 = nn.Linear(8, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return self.fc2(x)


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(5):
    x = torch.randn(10, 3)
    loss = (net(x) - x[:, :1]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
