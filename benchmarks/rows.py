"""What is timed: each row is one function from a torch-like module to a closure.

`make(torch)` prepares the tensors once and returns what one call of the row does. Where a single operation is timed the
closure is a `functools.partial` or a bound method, because a Python frame around it would be timed too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks.timing import Closure

Torch = ModuleType | Any


class Row(NamedTuple):
    """A timed comparison: its title in English and in Chinese, the bound on the ratio (None: for information)."""

    title: str
    title_zh: str
    bound: float | None
    make: Callable[[Torch], Closure]


def vector(torch: Torch, requires_grad: bool = False, size: int = 64) -> Any:
    """Values between 0.5 and 1.5, the same on both sides."""
    x = torch.arange(size, dtype=torch.float32) / size + 0.5
    return x.requires_grad_() if requires_grad else x


def recorded_multiply(torch: Torch) -> Closure:
    return partial(operator.mul, vector(torch, True), vector(torch, True))


def detach(torch: Torch) -> Closure:
    return (vector(torch, True) * 2).detach


def chain_of_twenty(torch: Torch) -> Closure:
    x, w = vector(torch, True), vector(torch, True)

    def step() -> None:
        y = x
        for _ in range(5):
            y = (y * w + x).tanh() - 0.5
        y.sum().backward()
        x.grad = w.grad = None

    return step


def scalar_expression(torch: Torch) -> Closure:
    def step() -> None:
        u = torch.tensor(1.5, requires_grad=True)
        v = torch.tensor(-0.75, requires_grad=True)
        p = u * v + v**2
        q = u - v + 3.0
        q = q + (p * q).relu() + 1
        p = p + 2 * q + (-u + v).relu()
        r = (p - q) ** 3
        s = r / 4.0 + 5.0 / (q * q)
        s = s + (u + r * v).relu() - p / q
        s.backward()

    return step


def unrecorded_multiply(torch: Torch) -> Closure:
    return partial(operator.mul, vector(torch), vector(torch))


def no_grad_block(torch: Torch) -> Closure:
    no_grad = torch.no_grad

    def enter_and_exit() -> None:
        with no_grad():
            pass

    return enter_and_exit


def training_step(torch: Torch, model: Any, optimiser: Any, x: Any, target: Any) -> Closure:
    loss_of = torch.nn.functional.cross_entropy

    def step() -> None:
        optimiser.zero_grad()
        loss_of(model(x), target).backward()
        optimiser.step()

    return step


def small_mlp_step(torch: Torch) -> Closure:
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 2))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training_step(torch, model, optimiser, torch.randn(1, 4), torch.tensor([1]))


def actor_critic_step(torch: Torch) -> Closure:
    nn, functional = torch.nn, torch.nn.functional
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 128), nn.ReLU())
    policy, value = nn.Linear(128, 2), nn.Linear(128, 1)
    optimiser = torch.optim.Adam([*body.parameters(), *policy.parameters(), *value.parameters()], lr=3e-3)
    states, actions, returns = torch.randn(32, 4), torch.randint(0, 2, (32, 1)), torch.randn(32, 1)

    def step() -> None:
        hidden = body(states)
        baseline = value(hidden)
        log_probability = functional.log_softmax(policy(hidden), dim=1).gather(1, actions)
        advantage = returns - baseline.detach()
        loss = -(log_probability * advantage).mean() + functional.mse_loss(baseline, returns)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def digit_mlp_step(torch: Torch) -> Closure:
    nn = torch.nn
    torch.manual_seed(0)
    layers = nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    model = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training_step(torch, model, optimiser, torch.randn(64, 784), torch.randint(0, 10, (64,)))


def lstm_step(torch: Torch) -> Closure:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(64, 128, batch_first=True)
    x = torch.randn(32, 50, 64)

    def step() -> None:
        lstm.zero_grad()
        lstm(x)[0].sum().backward()

    return step


def char_gpt_step(torch: Torch) -> Closure:
    """A character model as small trainers write it: 4 blocks 128 wide with 4 heads, 12 rows of 64 tokens, AdamW."""
    nn, functional = torch.nn, torch.nn.functional
    torch.manual_seed(0)
    width, heads, length, vocabulary = 128, 4, 64, 65

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attend, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            rows = x.size(0)
            parts = self.attend(self.first(x)).split(width, dim=2)
            q, k, v = (t.view(rows, length, heads, width // heads).transpose(1, 2) for t in parts)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.project(y.transpose(1, 2).contiguous().view(rows, length, width))
            return x + self.mlp(self.second(x))

    tokens, places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
    body = nn.Sequential(*(Block() for _ in range(4)), nn.LayerNorm(width), nn.Linear(width, vocabulary))
    modules = nn.ModuleList([tokens, places, body])
    optimiser = torch.optim.AdamW(modules.parameters(), lr=1e-3)
    x, target = torch.randint(0, vocabulary, (12, length)), torch.randint(0, vocabulary, (12, length))
    place = torch.arange(length)

    def step() -> None:
        scores = body(tokens(x) + places(place))
        loss = functional.cross_entropy(scores.view(-1, vocabulary), target.view(-1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def optimiser_over_many(torch: Torch, name: str, **options: Any) -> Closure:
    torch.manual_seed(0)
    parameters = [torch.randn(16).requires_grad_() for _ in range(100)]
    for parameter in parameters:
        parameter.grad = torch.randn(16)
    return getattr(torch.optim, name)(parameters, lr=1e-3, **options).step


def add_in_place(torch: Torch) -> Closure:
    return partial(vector(torch).add_, 1)


def product_of_matrices(torch: Torch) -> Closure:
    a = vector(torch).view(8, 8)
    return partial(operator.matmul, a, a)


def linear(torch: Torch) -> Closure:
    x, weight, bias = vector(torch).view(8, 8), vector(torch, True, 32).detach().view(4, 8), vector(torch, size=4)
    return partial(torch.nn.functional.linear, x, weight.requires_grad_(), bias.requires_grad_())


def method(name: str, *arguments: Any, recorded: bool = False) -> Callable[[Torch], Closure]:
    """A row that calls one method of a 64-element tensor."""
    return lambda torch: partial(getattr(vector(torch, recorded), name), *arguments)


ROWS = [
    Row("`x * y`, recorded, 64 elements", "`x * y`，记录到图中，64 个元素", 0.65, recorded_multiply),
    Row("`x.detach()`", "`x.detach()`", 0.6, detach),
    Row("forward and backward of a 20-operation chain", "20 个运算的链：前向加反向", 0.6, chain_of_twenty),
    Row("scalar expression of two variables, with backward", "两个变量的标量表达式，含反向", 0.6, scalar_expression),
    Row("`x * y`, not recorded, 64 elements", "`x * y`，不记录，64 个元素", 0.75, unrecorded_multiply),
    Row("`with no_grad()`: enter and leave", "`with no_grad()`：进入并退出", 0.7, no_grad_block),
    Row("training step, MLP 4-128-2, Adam, batch 1", "训练一步：MLP 4-128-2，Adam，批大小 1", 0.5, small_mlp_step),
    Row("training step, actor-critic, batch 32", "训练一步：actor-critic，批大小 32", 0.6, actor_critic_step),
    Row(
        "training step, MLP 784-512-512-10, Adam, batch 64",
        "训练一步：MLP 784-512-512-10，Adam，批大小 64",
        1.0,
        digit_mlp_step,
    ),
    Row("LSTM 64→128, 32×50 steps, with backward", "LSTM 64→128，32×50 步，含反向", 2.0, lstm_step),
    Row(
        "training step, character GPT, 4 layers of 128, 12×64 tokens",
        "训练一步：字符级 GPT，4 层、宽 128，12×64 个词元",
        1.2,
        char_gpt_step,
    ),
    Row(
        "`SGD.step()` over 100 small tensors",
        "100 个小张量上的 `SGD.step()`",
        0.6,
        lambda t: optimiser_over_many(t, "SGD"),
    ),
    Row(
        "`SGD.step()` with momentum over 100 small tensors",
        "100 个小张量上带动量的 `SGD.step()`",
        0.6,
        lambda t: optimiser_over_many(t, "SGD", momentum=0.9),
    ),
    Row(
        "`Adam.step()` over 100 small tensors",
        "100 个小张量上的 `Adam.step()`",
        0.6,
        lambda t: optimiser_over_many(t, "Adam"),
    ),
    Row("`x + 1`, recorded", "`x + 1`，记录到图中", None, lambda t: partial(operator.add, vector(t, True), 1)),
    Row("`x.exp()`, recorded", "`x.exp()`，记录到图中", None, method("exp", recorded=True)),
    Row("`x.sum()`, recorded", "`x.sum()`，记录到图中", None, method("sum", recorded=True)),
    Row("`x.view(8, 8)`", "`x.view(8, 8)`", None, method("view", 8, 8)),
    Row("`x[3:9]`", "`x[3:9]`", None, lambda t: partial(operator.getitem, vector(t), slice(3, 9))),
    Row("`x.add_(1)`", "`x.add_(1)`", None, add_in_place),
    Row("`a @ b`, 8×8", "`a @ b`，8×8", None, product_of_matrices),
    Row("`F.linear`, 8×8 by 4×8, recorded", "`F.linear`，8×8 与 4×8，记录到图中", None, linear),
]
