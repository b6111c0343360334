import torch

torch.manual_seed(0)
w = torch.randn(5, 1, requires_grad=True) * 0.01  # culprit
lr = 0.1
x, y = torch.randn(20, 5), torch.randn(20, 1)
for _ in range(3):
    loss = ((x @ w - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= lr * w.grad
        w.grad.zero_()
