import torch
import torch.nn as nn

torch.manual_seed(0)
features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
content, style = torch.rand(1, 1, 10, 10), torch.rand(1, 1, 10, 10)


def gram(f):
    b, c, h, w = f.shape
    f = f.view(c, h * w)
    return f @ f.t() / (c * h * w)


content_target, style_target = features(content).detach(), gram(features(style)).detach()
image = content.clone().requires_grad_(True)
optimizer = torch.optim.Adam([image], lr=0.05)
for _ in range(8):
    with torch.no_grad():
        image.clamp_(0, 1)
    f = features(image)
    loss = (f - content_target).pow(2).mean() + 100 * (gram(f) - style_target).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
