import torch

torch.manual_seed(0)
theta = torch.randn(4, requires_grad=True)
for _ in range(3):
    loss = (theta**2).sum()
    loss.backward()
    theta -= 0.1 * theta.grad  # culprit
    theta.grad.zero_()
