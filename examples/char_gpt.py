"""Train a small GPT, letter by letter, on a play by Shakespeare, and let it write a scene of its own.

    python examples/char_gpt.py          with PyTorch
    wengert run examples/char_gpt.py     with wengert

The model reads a window of characters and says, at every position at once, which character it expects next; the loss is
its surprise at the true one, in nats. Knowing nothing costs log(68) = 4.2 a character, knowing how often each letter
occurs about 3.2, words and the layout of a play below 2.
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn as nn
from torch.nn import functional as F

DATA = Path(__file__).parent / "data" / "as_you_like_it.txt"
HELD_OUT = 0.1  # the last tenth of the play is never trained on


class Attention(nn.Module):
    """Every position looks back at those before it, in several ways (heads) at once."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ask_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x):
        batch, length, width = x.shape
        # (batch, length, 3 * width) to three of (batch, heads, length, width / heads)
        split = self.ask_key_value(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(seen.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention carries information between positions, the two-layer network works on it where it has arrived.

    Both only add to the stream `x` that runs through all blocks, so that gradients run back along it unhindered.
    """

    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.think = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.think(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, letters, window, width, heads, layers):
        super().__init__()
        self.window = window
        self.letter = nn.Embedding(letters, width)
        self.place = nn.Embedding(window, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)
        self.head.weight = self.letter.weight  # one table both reads and writes letters
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                # What is added to the stream is scaled down, so that many blocks leave its size alone.
                adds = name.endswith(("out.weight", "think.2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if adds else 0.02)

    def forward(self, ids):
        """Scores (batch, length, letters) for the character after each of `ids` (batch, length)."""
        x = self.letter(ids) + self.place(torch.arange(ids.shape[1], device=ids.device))
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def write(self, ids, count, temperature=0.8):
        """Go on from `ids` (1, length) for `count` characters, each drawn from what the model expects."""
        self.eval()
        for _ in range(count):
            scores = self(ids[:, -self.window :])[:, -1] / temperature
            drawn = torch.multinomial(F.softmax(scores, dim=-1), num_samples=1)
            ids = torch.cat([ids, drawn], dim=1)
        return ids


def windows(text, batch, window):
    """Pieces of the text from random places, and the same pieces one character further on."""
    starts = torch.randint(len(text) - window, (batch,))
    pieces = torch.stack([text[start : start + window + 1] for start in starts])
    return pieces[:, :-1], pieces[:, 1:]


def loss_of(model, x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


@torch.no_grad()
def held_out_loss(model, text, pieces=64):
    """The mean loss on evenly spaced pieces of a text that the model hasn't learned from."""
    model.eval()
    starts = torch.linspace(0, len(text) - model.window - 1, pieces).long()
    x = torch.stack([text[start : start + model.window] for start in starts])
    y = torch.stack([text[start + 1 : start + model.window + 1] for start in starts])
    loss = loss_of(model, x, y).item()
    model.train()
    return loss


def optimizer_of(model, lr):
    """AdamW that pulls matrices towards zero, but neither the norms' gains nor biases."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))


def warm_up_then_fall(steps, warm_up=20):
    """The learning rate's factor at each step: up in a line, down along half a cosine to a tenth."""

    def factor(step):
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return factor


def main():
    options = argparse.ArgumentParser(description="Train a small GPT on a play by Shakespeare.")
    options.add_argument("--steps", type=int, default=500)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--window", type=int, default=64, help="characters that the model sees at once")
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--heads", type=int, default=4)
    options.add_argument("--layers", type=int, default=3)
    options.add_argument("--lr", type=float, default=5e-3)
    options.add_argument("--every", type=int, default=50, help="steps between two lines of progress")
    options.add_argument("--write", type=int, default=300, help="characters to write at the end")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()

    torch.manual_seed(chosen.seed)
    play = DATA.read_text(encoding="ascii")
    letters = sorted(set(play))
    number = {letter: i for i, letter in enumerate(letters)}
    text = torch.tensor([number[letter] for letter in play])
    cut = int(len(text) * (1 - HELD_OUT))
    known, unknown = text[:cut], text[cut:]

    model = GPT(len(letters), chosen.window, chosen.width, chosen.heads, chosen.layers)
    optimizer = optimizer_of(model, chosen.lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_then_fall(chosen.steps))
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(known):,} characters to learn from, {len(letters)} different ones; {count:,} parameters")

    started = time.perf_counter()
    for step in range(1, chosen.steps + 1):
        loss = loss_of(model, *windows(known, chosen.batch, chosen.window))
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % chosen.every == 0 or step == chosen.steps:
            spent = time.perf_counter() - started
            print(f"step {step:4d}  loss {loss.item():.6f}  |gradient| {norm.item():.4f}  {spent:5.1f} s", flush=True)
    print(f"on the held-out end of the play: loss {held_out_loss(model, unknown):.4f}")

    if chosen.write:
        start = torch.tensor([[number[letter] for letter in "\nROSALIND\t"]])
        written = model.write(start, chosen.write)[0].tolist()
        print("".join(letters[i] for i in written))


if __name__ == "__main__":
    main()
