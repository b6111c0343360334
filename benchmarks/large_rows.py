"""Work on arrays too large for overhead to matter: where memory and arithmetic decide.

Each row says how many bytes its operations read and write when each takes one pass over its arrays, or how many
floating-point operations its products are: with the machine's measured speed these bound the time from below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks.timing import Closure

Torch = ModuleType | Any
Wrap = Callable[[Any], Any]  # torch.compile, or nothing


class LargeRow(NamedTuple):
    """A comparison: titles, bound on the ratio, what to run, bytes moved and FLOP done at least (0: not stated)."""

    name: str
    title: str
    title_zh: str
    bound: float
    make: Callable[[Torch, Wrap], Closure]
    bytes: float = 0
    flop: float = 0


def training(torch: Torch, parameters: list[Any], loss: Callable[[], Any]) -> Closure:
    """Forward and backward, gradients dropped first."""

    def step() -> Any:
        for p in parameters:
            p.grad = None
        result = loss()
        result.backward()
        return result

    return step


def add(torch: Torch, wrap: Wrap) -> Closure:
    x, y = torch.ones(10_000_000), torch.ones(10_000_000)
    run = wrap(lambda a, b: a + b)
    return lambda: run(x, y)


def pointwise_mix(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    x, z = (torch.randn(4_000_000).requires_grad_() for _ in range(2))
    gelu = torch.nn.functional.gelu
    run = wrap(lambda x, z: (torch.sigmoid(x) * torch.tanh(x) + gelu(2 * z) - z).mean())
    return training(torch, [x, z], lambda: run(x, z))


def softmax_layer_norm(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    x, c = torch.randn(4096, 1024).requires_grad_(), torch.randn(4096, 1024)
    w, b = torch.ones(1024).requires_grad_(), torch.zeros(1024).requires_grad_()
    norm = torch.nn.functional.layer_norm
    run = wrap(lambda x, w, b: norm(torch.softmax(x, -1), (1024,), w, b))

    def step() -> None:
        x.grad = w.grad = b.grad = None
        run(x, w, b).backward(c)

    return step


def reductions_mix(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    x = torch.randn(2000, 2000).requires_grad_()

    def loss(x: Any) -> Any:
        return x.sum() + x.norm() + x.var(1).sum() + x.amax(0).sum() + x.logsumexp(1).sum()

    run = wrap(loss)
    return training(torch, [x], lambda: run(x))


def adam(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    parameters = [torch.randn(1_000_000).requires_grad_() for _ in range(10)]
    for p in parameters:
        p.grad = torch.randn(1_000_000)
    return torch.optim.Adam(parameters, lr=1e-3).step


def cross_entropy(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    x, target = torch.randn(4096, 32_000).requires_grad_(), torch.randint(0, 32_000, (4096,))
    run = wrap(torch.nn.functional.cross_entropy)
    return training(torch, [x], lambda: run(x, target))


def embedding(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    table, index = torch.randn(50_000, 512).requires_grad_(), torch.randint(0, 50_000, (32, 256))
    run = wrap(lambda i, t: torch.nn.functional.embedding(i, t).sum())
    return training(torch, [table], lambda: run(index, table))


def stepping(torch: Torch, model: Any, x: Any, target: Any) -> Closure:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = torch.nn.functional.cross_entropy

    def step() -> None:
        optimiser.zero_grad()
        out = model(x)
        loss_of(out.reshape(-1, out.shape[-1]), target.reshape(-1)).backward()
        optimiser.step()

    return step


def mlp(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return stepping(torch, wrap(model), torch.randn(64, 784), torch.randint(0, 10, (64,)))


def char_gpt(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    nn, width, heads, length, characters = torch.nn, 128, 4, 64, 65
    mask = torch.tril(torch.ones(length, length)) == 0

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            n = x.shape[0]
            parts = self.qkv(self.before(x)).split(width, 2)
            q, k, v = (t.view(n, length, heads, width // heads).transpose(1, 2) for t in parts)
            scores = (q @ k.transpose(-2, -1)) * (1 / math.sqrt(width // heads))
            weights = torch.softmax(scores.masked_fill(mask, float("-inf")), -1)
            x = x + self.out((weights @ v).transpose(1, 2).reshape(n, length, width))
            return x + self.mlp(self.after(x))

    class Model(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(characters, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters, bias=False)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.norm(self.blocks(self.token(tokens) + self.place(torch.arange(length)))))

    tokens, target = (torch.randint(0, characters, (12, length)) for _ in range(2))
    return stepping(torch, wrap(Model()), tokens, target)


def cnn(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    return stepping(torch, wrap(model), torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,)))


def resnet_block(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    nn = torch.nn
    body = nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64),
    )  # fmt: skip
    x = torch.randn(16, 64, 32, 32).requires_grad_()
    run = wrap(lambda x: torch.relu(body(x) + x).mean())
    return training(torch, [x, *body.parameters()], lambda: run(x))


def lstm(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    layer, x = torch.nn.LSTM(64, 128, batch_first=True), torch.randn(32, 50, 64)
    return training(torch, list(layer.parameters()), lambda: layer(x)[0].sum())


def matmul(torch: Torch, wrap: Wrap) -> Closure:
    torch.manual_seed(0)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return lambda: a @ b


F = 4  # bytes of a float

ROWS = [
    LargeRow("add", "`x + y`, 10M floats", "`x + y`，一千万个浮点数", 0.5, add, 3 * F * 10e6),
    LargeRow("mix", "σ(x)·tanh(x) + gelu(2z) − z, 4M floats, mean, with backward",
             "σ(x)·tanh(x) + gelu(2z) − z，四百万个浮点数，求均值，含反向", 0.7, pointwise_mix, 39 * F * 4e6),
    LargeRow("softmax", "softmax and layer_norm, 4096×1024, with backward",
             "softmax 加 layer_norm，4096×1024，含反向", 0.7, softmax_layer_norm, 11 * F * 4096 * 1024),
    LargeRow("reductions", "sum, norm, var, amax, logsumexp of 2000×2000, with backward",
             "2000×2000 的 sum、norm、var、amax、logsumexp，含反向", 0.4, reductions_mix, 27 * F * 4e6),
    LargeRow("adam", "`Adam.step()` over 10 tensors of 1M", "10 个百万元素张量上的 `Adam.step()`", 0.6, adam,
             7 * F * 10e6),
    LargeRow("cross_entropy", "cross entropy 4096×32000, with backward", "交叉熵 4096×32000，含反向", 0.7,
             cross_entropy, 3 * F * 4096 * 32e3),
    LargeRow("embedding", "embedding 50k×512, with backward", "嵌入表 50k×512，含反向", 0.8, embedding,
             F * 512 * (50e3 + 5 * 8192)),
    LargeRow("mlp", "training step, MLP 784-512-512-10, batch 64", "训练一步：MLP 784-512-512-10，批大小 64", 0.8, mlp,
             flop=6 * 64 * (784 * 512 + 512 * 512 + 5120)),
    LargeRow("gpt", "training step, char-GPT (4 layers, 128 wide, 12×64 tokens)",
             "训练一步：字符 GPT（4 层，宽 128，12×64 个字符）", 0.8, char_gpt),
    LargeRow("cnn", "training step, MNIST CNN, batch 64", "训练一步：MNIST CNN，批大小 64", 0.7, cnn),
    LargeRow("resnet", "ResNet block 16×64×32×32, with backward", "ResNet 块 16×64×32×32，含反向", 0.8, resnet_block,
             flop=2 * 2 * 3 * 16 * 64 * 64 * 9 * 1024),
    LargeRow("lstm", "LSTM 64→128, 32×50 steps, with backward", "LSTM 64→128，32×50 步，含反向", 1.0, lstm),
    LargeRow("matmul", "1024×1024 `@` 1024×1024", "1024×1024 `@` 1024×1024", 1.05, matmul, flop=2 * 1024**3),
]  # fmt: skip
