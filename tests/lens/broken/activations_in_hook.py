import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
activations = []


def remember(module, inputs, output):
    activations.append(output)  # culprit


model[1].register_forward_hook(remember)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(15):
    loss = model(torch.randn(4, 6)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(len(activations), "activations seen")
