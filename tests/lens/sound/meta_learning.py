import torch


def forward(params, x):
    w1, b1, w2, b2 = params
    return torch.tanh(x @ w1 + b1) @ w2 + b2


torch.manual_seed(0)
params = [torch.randn(1, 8) * 0.5, torch.zeros(8), torch.randn(8, 1) * 0.5, torch.zeros(1)]
params = [p.requires_grad_() for p in params]
meta_opt = torch.optim.Adam(params, lr=1e-3)
for iteration in range(6):
    meta_loss = 0.0
    for task in range(4):
        phase = torch.rand(1) * 3
        x = torch.rand(10, 1) * 4 - 2
        y = torch.sin(x + phase)
        fast = params
        for _ in range(2):
            inner = ((forward(fast, x[:5]) - y[:5]) ** 2).mean()
            grads = torch.autograd.grad(inner, fast, create_graph=True)
            fast = [p - 0.1 * g for p, g in zip(fast, grads)]
        meta_loss = meta_loss + ((forward(fast, x[5:]) - y[5:]) ** 2).mean()
    meta_opt.zero_grad()
    meta_loss.backward()
    meta_opt.step()
    print(iteration, meta_loss.item())
