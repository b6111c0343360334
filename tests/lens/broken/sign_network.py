import torch

torch.manual_seed(0)
w1 = torch.randn(4, 6, requires_grad=True)
w2 = torch.randn(6, 1, requires_grad=True)
opt = torch.optim.SGD([w1, w2], lr=0.05)
for step in range(8):
    x = torch.randn(32, 4)
    hidden = torch.sign(x @ w1)  # culprit
    out = hidden @ w2
    loss = ((out[:, 0] - x[:, 1]) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
