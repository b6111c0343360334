import torch
import torch.nn as nn


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(5, 8)
        self.heads = nn.ModuleDict({"age": nn.Linear(8, 1), "sex": nn.Linear(8, 2)})
        self.log_vars = nn.ParameterDict({k: nn.Parameter(torch.zeros(())) for k in self.heads})

    def loss(self, x, targets):
        h = torch.relu(self.shared(x))
        losses = {
            "age": nn.functional.mse_loss(self.heads["age"](h).squeeze(1), targets["age"]),
            "sex": nn.functional.cross_entropy(self.heads["sex"](h), targets["sex"]),
        }
        total = sum(torch.exp(-self.log_vars[k]) * v + self.log_vars[k] for k, v in losses.items())
        return total, {k: v.item() for k, v in losses.items()}


torch.manual_seed(0)
model = MultiTask()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
logs = []
for _ in range(6):
    x = torch.randn(10, 5)
    total, log = model.loss(x, {"age": x[:, 0], "sex": (x[:, 1] > 0).long()})
    opt.zero_grad()
    total.backward()
    opt.step()
    logs.append(log)
