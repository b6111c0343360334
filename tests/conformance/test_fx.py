"""Graphs of programs: the same source and the same printed graph as PyTorch's, or the same refusal."""

import math
import operator

import pytest

PROGRAMS = {
    "branch": lambda torch: lambda x: x if x.sum() > 0 else -x,
    "loop": lambda torch: lambda x: tuple(y + 1 for y in x),
    "length": lambda torch: lambda x: len(x),
    "number": lambda torch: lambda x: int(x),
    "nothing": lambda torch: lambda x: 3,
    "keywords": lambda torch: lambda x: {**x},
    "membership": lambda torch: lambda x: x in [1],
    "index": lambda torch: lambda x: x[..., None, 1 : x.shape[0]],
    "structure": lambda torch: lambda x: (x, [x + 1, {"a": -x}]),
    "method": lambda torch: lambda x: x.view(x.size(0), -1) @ x.t(),
    "reflected": lambda torch: lambda x: 1 - x / 2 + 2**x,
    "named": lambda torch: lambda input, type: torch.add(input, type),
    "builtin names": lambda torch: lambda x: (torch.sum(x), torch.max(x), x.abs(), torch.abs(x)),
    "same twice": lambda torch: lambda x: torch.relu(torch.relu(x)),
    "functions": lambda torch: lambda x: torch.matmul(torch.sigmoid(x), x).unsqueeze(0),
    "math": lambda torch: lambda x: math.sqrt(x.shape[0]),
    "operator": lambda torch: lambda x: operator.floordiv(x, 2),
    "constants": lambda torch: lambda x: x.to(torch.float16) * float("inf"),
    "gathered": lambda torch: lambda x, *others, y=3, **named: x + others[0] + named["a"] * y,
    "defaults": lambda torch: lambda x, y=(1, 2.0), z=None: x + y[0],
    "where": lambda torch: lambda x: torch.where(x > 0, x, 0.0),
    "sizes": lambda torch: lambda x: torch.zeros(x.shape[0]),
    "attribute called": lambda torch: lambda x: x.unknown(3).T,
    "comparison": lambda torch: lambda x: (x == 1) & (x != 2) | ~(x < 3),
}


def seen(torch, make):
    try:
        module = torch.fx.symbolic_trace(make(torch))
    except Exception as error:
        return type(error).__name__, str(error)
    return module.code, str(module.graph)


@pytest.mark.parametrize("name", PROGRAMS)
def test_source_and_graph(oracle, subject, name):
    assert seen(subject, PROGRAMS[name]) == seen(oracle, PROGRAMS[name])


def annotated(torch):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.ReLU()])
            self.weight = torch.nn.Parameter(torch.ones(2))
            self.register_buffer("shift", torch.ones(2))

        def forward(self, x: torch.Tensor, times: int = 2) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            y, z = torch.chunk(x, 2)
            y += z
            return y * self.weight + self.shift

    return Net()


def test_modules(oracle, subject):
    """Names of submodules, annotations, unpacking, and what the module is printed as."""
    assert str(subject.fx.symbolic_trace(annotated(subject))) == str(oracle.fx.symbolic_trace(annotated(oracle)))
