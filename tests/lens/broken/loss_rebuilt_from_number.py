import torch


def train(model, data, steps):
    opt = torch.optim.SGD(model.parameters(), lr=0.05)
    for i in range(steps):
        x, y = data[i % len(data)]
        pred = model(x)
        value = ((pred - y) ** 2).mean().item()  # culprit
        loss = torch.tensor(value, requires_grad=True)
        opt.zero_grad()
        loss.backward()
        opt.step()


torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
data = [(torch.randn(16, 4), torch.randn(16, 1)) for _ in range(3)]
train(model, data, 9)
