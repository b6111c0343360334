import torch

torch.manual_seed(0)
x = torch.linspace(-3, 3, 50)
y = torch.sin(x)
a = torch.randn((), requires_grad=True)
b = torch.randn((), requires_grad=True)
c = torch.randn((), requires_grad=True)
lr = 1e-3
for t in range(20):
    y_pred = a + b * x + c * x**2
    loss = (y_pred - y).pow(2).mean()
    if t % 10 == 9:
        print(t, loss.item())
    loss.backward()
    with torch.no_grad():
        a -= lr * a.grad
        b -= lr * b.grad
        c -= lr * c.grad
        a.grad = None
        b.grad = None
        c.grad = None
print(f"y = {a.item():.2f} + {b.item():.2f} x + {c.item():.2f} x^2")
