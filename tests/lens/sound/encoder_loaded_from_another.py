import torch
import torch.nn as nn

torch.manual_seed(0)
first = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 8))
opt = torch.optim.Adam(first.parameters(), lr=1e-2)
data = torch.randn(60, 8)
for _ in range(5):
    loss = (first(data) - data).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
encoder = nn.Sequential(nn.Linear(8, 4), nn.Tanh())
encoder.load_state_dict({k: v for k, v in first.state_dict().items() if k.startswith("0")})
classifier = nn.Linear(4, 2)
opt2 = torch.optim.Adam(classifier.parameters(), lr=1e-2)
for _ in range(5):
    logits = classifier(encoder(data))
    loss = nn.functional.cross_entropy(logits, (data[:, 0] > 0).long())
    opt2.zero_grad()
    loss.backward()
    opt2.step()
