import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
activations, gradients = {}, []


def save(name):
    def hook(module, inputs, output):
        activations[name] = output.detach()

    return hook


for name, module in model.named_modules():
    if isinstance(module, nn.Linear):
        module.register_forward_hook(save(name))
model[0].weight.register_hook(lambda g: gradients.append(g.norm().item()))
model[2].weight.register_hook(lambda g: g.clamp(-1, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(8):
    loss = nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(0, 2, (8,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print({k: v.mean().item() for k, v in activations.items()}, len(gradients))
