import torch
import torch.nn as nn


class GCN(nn.Module):
    def __init__(self, a):
        super().__init__()
        degree = a.sum(1)
        self.register_buffer("a", a / degree.sqrt()[:, None] / degree.sqrt()[None, :])
        self.w1, self.w2 = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = torch.relu(self.a @ self.w1(x))
        x = nn.functional.dropout(x, 0.3, self.training)
        return nn.functional.log_softmax(self.a @ self.w2(x), dim=1)


torch.manual_seed(0)
adjacency = (torch.rand(10, 10) > 0.7).float()
adjacency = ((adjacency + adjacency.t() + torch.eye(10)) > 0).float()
x, y = torch.randn(10, 4), torch.randint(0, 2, (10,))
train_mask = torch.arange(10) < 6
model = GCN(adjacency)
opt = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)
for _ in range(8):
    model.train()
    opt.zero_grad()
    loss = nn.functional.nll_loss(model(x)[train_mask], y[train_mask])
    loss.backward()
    opt.step()
    model.eval()
    acc = (model(x)[~train_mask].max(1)[1] == y[~train_mask]).float().mean()
print(float(acc))
