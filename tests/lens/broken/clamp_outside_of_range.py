import torch

torch.manual_seed(0)
log_scale = torch.nn.Parameter(torch.full((3,), 5.0))
shift = torch.nn.Parameter(torch.zeros(3))
opt = torch.optim.Adam([log_scale, shift], lr=0.01)
for _ in range(6):
    z = torch.randn(20, 3)
    s = torch.clamp(log_scale, -2.0, 2.0)  # culprit
    x = z * s.exp() + shift
    loss = ((x - 1) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
