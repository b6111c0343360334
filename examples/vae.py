"""A variational autoencoder puts every handwritten digit somewhere on a plane, and learns to draw what is in between.

    python examples/vae.py          with PyTorch
    wengert run examples/vae.py     with wengert

The encoder doesn't answer with a point but with a small cloud (Kingma and Welling, 2013). A point is drawn from it and
the decoder must paint the digit again. The draw is written as `mean + spread * noise`, so that the gradient passes
through mean and spread and leaves the noise alone. The picture at the end shows the whole plane, decoded.
"""

import argparse
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.nn import functional as F

DATA = Path(__file__).parent / "data" / "digits.npz"
SIDE = 8  # pixels


class VAE(nn.Module):
    def __init__(self, hidden=128, latent=2):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(SIDE * SIDE, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, SIDE * SIDE)
        )

    def forward(self, images):
        """Scores of ink for each pixel, and the mean and the log variance of each image's cloud."""
        features = self.encoder(images)
        mean, log_variance = self.mean(features), self.log_variance(features)
        point = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(point), mean, log_variance


def losses_of(images, scores, mean, log_variance):
    """What an image costs on average: bad painting, and clouds that differ from the standard normal (both in nats)."""
    painting = F.binary_cross_entropy_with_logits(scores, images, reduction="sum")
    clouds = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return painting / len(images), clouds / len(images)


def load_images():
    with np.load(DATA) as archive:
        return torch.from_numpy(archive["images"]).float().flatten(1) / 16


@torch.no_grad()
def decoded_plane(model, count):
    """A picture of what lies at `count` by `count` places of the latent plane.

    The places are quantiles of the normal distribution, so that each stands for the same share of all digits.
    """
    quantiles = torch.special.ndtri((torch.arange(count) + 0.5) / count)
    places = torch.cartesian_prod(quantiles.flip(0), quantiles).flip(1)  # rows from the top, columns from the left
    tiles = torch.sigmoid(model.decoder(places)).view(count, count, SIDE, SIDE)
    tiles = F.pad(tiles, (1, 1, 1, 1))  # a margin of paper
    return tiles.permute(0, 2, 1, 3).flatten(2, 3).flatten(0, 1)


def save_png(path, picture, magnify=4):
    """Write values from 0 (paper) to 1 (ink) as a grey PNG: a header, the rows compressed, an end."""
    pixels = (255 * (1 - picture)).round().to(torch.uint8)
    pixels = pixels.repeat_interleave(magnify, 0).repeat_interleave(magnify, 1).numpy()
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # each begins with 0: stored as it is
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),  # 8 bits, grey
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def main():
    options = argparse.ArgumentParser(description="A variational autoencoder of handwritten digits.")
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--lr", type=float, default=2e-3)
    options.add_argument("--every", type=int, default=200, help="steps between two lines of progress")
    options.add_argument("--picture", default="vae.png", help="where to save the decoded plane")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()

    torch.manual_seed(chosen.seed)
    images = load_images()
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=chosen.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=chosen.steps)
    print(f"{len(images)} digits; {sum(parameter.numel() for parameter in model.parameters()):,} parameters")

    for step in range(1, chosen.steps + 1):
        batch = images[torch.randint(len(images), (chosen.batch,))]
        painting, clouds = losses_of(batch, *model(batch))
        loss = painting + clouds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % chosen.every == 0 or step == chosen.steps:
            print(
                f"step {step:5d}  loss {loss.item():.6f} = painting {painting.item():.4f} + clouds {clouds.item():.4f}",
                flush=True,
            )

    save_png(chosen.picture, decoded_plane(model, count=15))
    print(f"the plane, decoded: {chosen.picture}")


if __name__ == "__main__":
    main()
