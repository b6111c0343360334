import torch
import torch.nn as nn


class Recommender(nn.Module):
    def __init__(self, users, items, width=4):
        super().__init__()
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        self.mean = nn.Parameter(torch.zeros(()))

    def forward(self, u, i):
        dot = (self.user(u) * self.item(i)).sum(1)
        return dot + self.user_bias(u).squeeze(1) + self.item_bias(i).squeeze(1) + self.mean


torch.manual_seed(0)
model = Recommender(10, 12)
opt = torch.optim.Adagrad(model.parameters(), lr=0.1)
for _ in range(6):
    u, i, r = torch.randint(0, 10, (16,)), torch.randint(0, 12, (16,)), torch.rand(16) * 5
    loss = nn.functional.mse_loss(model(u, i), r) + 1e-4 * model.user.weight.norm()
    opt.zero_grad()
    loss.backward()
    opt.step()
