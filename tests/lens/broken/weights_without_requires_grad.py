import torch

torch.manual_seed(0)
w = torch.randn(3, 1)  # culprit
b = torch.zeros(1, requires_grad=True)
opt = torch.optim.SGD([w, b], lr=0.1)
for _ in range(6):
    x = torch.randn(16, 3)
    y = x @ torch.tensor([[1.0], [2.0], [3.0]])
    loss = ((x @ w + b - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
