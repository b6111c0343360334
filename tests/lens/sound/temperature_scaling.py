import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
net = nn.Linear(3, 3)
temp = nn.Parameter(torch.ones(1))
o1, o2 = torch.optim.SGD(net.parameters(), lr=0.1), torch.optim.LBFGS([temp], lr=0.1)
for _ in range(5):
    o1.zero_grad()
    F.cross_entropy(net(torch.randn(8, 3)), torch.randint(0, 3, (8,))).backward()
    o1.step()
net.eval()
with torch.no_grad():
    logits = net(torch.randn(30, 3))
y = torch.randint(0, 3, (30,))


def closure():
    o2.zero_grad()
    l = F.cross_entropy(logits / temp, y)
    l.backward()
    return l


o2.step(closure)
