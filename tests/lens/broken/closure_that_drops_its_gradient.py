import torch

torch.manual_seed(0)
w = torch.randn(3, requires_grad=True)
opt = torch.optim.LBFGS([w], lr=0.5, max_iter=3)


def closure():
    loss = (w - 1).pow(2).sum()
    loss.backward()
    opt.zero_grad()  # culprit
    return loss


for _ in range(3):
    opt.step(closure)
