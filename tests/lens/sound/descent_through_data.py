import torch

torch.manual_seed(0)
w1 = torch.randn(6, 8) * 0.3
w2 = torch.randn(8, 1) * 0.3
w1.requires_grad_()
w2.requires_grad_()
for _ in range(10):
    x = torch.randn(20, 6)
    loss = ((x.mm(w1).clamp(min=0).mm(w2) - x[:, :1]) ** 2).mean()
    loss.backward()
    for w in (w1, w2):
        w.data -= 0.1 * w.grad.data
        w.grad.data.zero_()
