"""Small operations beside PyTorch, where what counts is the cost of a call and not the work on arrays.

    python -m benchmarks.small [WORDS...] [--sizes tiny small] [--modes forward recorded backward]

The expressions come from small.txt: what programs write, by family. Each runs on tiny and on small operands, in up to
three modes: without gradient; recorded, every floating operand requiring its gradient; and recorded with its backward
pass. A mode that PyTorch refuses (the gradient of a comparison, a write into a leaf) is left out. One thread each, in
turn, by the processor's time; printed is the table sorted by ratio, and how many rows lie below 1 and 1.5, above 3
and 5.
"""

from __future__ import annotations

import os

# One thread on both sides. BLAS libraries read this once, when NumPy loads them.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse  # noqa: E402
import importlib  # noqa: E402
import sys  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from time import thread_time  # noqa: E402
from types import CodeType  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.table import duration  # noqa: E402
from benchmarks.timing import Closure, compare  # noqa: E402

MODES = ("forward", "recorded", "backward")


class Shapes(NamedTuple):
    """The extents of one size: what small.txt calls a matrix, an image and so on."""

    rows: int
    columns: int
    side: int  # of a square matrix
    sequence: tuple[int, int, int]  # batch, steps, features
    heads: tuple[int, int, int, int]  # batch, heads, steps, features
    image: tuple[int, int, int, int]  # batch, channels, height, width
    volume: tuple[int, int, int, int, int]


SIZES = {
    "tiny": Shapes(4, 8, 4, (2, 4, 8), (1, 2, 4, 8), (1, 2, 8, 8), (1, 2, 4, 4, 4)),
    "small": Shapes(32, 64, 32, (8, 16, 32), (2, 4, 16, 16), (8, 4, 16, 16), (2, 2, 8, 8, 8)),
}


class Line(NamedTuple):
    """An expression, the statements that prepare what it speaks of, and its family."""

    expression: str
    setup: str
    family: str


class Found(NamedTuple):
    """One comparison: what was measured, both times in seconds, and their ratio."""

    expression: str
    size: str
    mode: str
    own: float
    reference: float
    ratio: float


def lines() -> list[Line]:
    """The table of small.txt: `expression  |  setup`, a long one continued in an indented line."""
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").replace("\n ", " ")
    found, family = [], ""
    for line in filter(None, text.splitlines()):
        if line.startswith("#"):
            family = line.strip("# ")
        else:
            expression, _, setup = line.partition("  |  ")
            found.append(Line(expression.strip(), setup.strip(), family))
    return found


def operands(shapes: Shapes) -> dict[str, np.ndarray]:
    """The arrays that the expressions speak of.

    `x` and `y` are matrices between 0.1 and 0.9, `s` one between -3 and 3, `d` one between 1 and 5, `z` a complex one,
    `i` and `j` integers from 1 to 7, `a` and `b` truth values. `v` and `w` are as long as a row, `c` as a column; `n`
    is a single number, without dimensions. `u` is square. `h` is a batch of sequences, `q` has heads, `p` are images,
    `o` volumes. `k` permutes the rows, `l` the elements of each row, `t` holds one column for each row.
    """
    draw = np.random.default_rng(0)
    matrix = (shapes.rows, shapes.columns)
    between = {"x": (0.1, 0.9), "y": (0.1, 0.9), "s": (-3, 3), "d": (1, 5)}
    found = {name: draw.uniform(low, high, matrix).astype(np.float32) for name, (low, high) in between.items()}
    found |= {name: draw.integers(1, 8, matrix) for name in "ij"}
    found |= {name: draw.random(matrix) < 0.5 for name in "ab"}
    uniform = {"v": shapes.columns, "w": shapes.columns, "c": shapes.rows, "n": (), "u": (shapes.side,) * 2,
               "h": shapes.sequence, "q": shapes.heads, "p": shapes.image, "o": shapes.volume}  # fmt: skip
    found |= {name: draw.uniform(0.1, 0.9, shape).astype(np.float32) for name, shape in uniform.items()}
    return {name: np.asarray(array) for name, array in found.items()} | {
        "z": (found["x"] + 1j * found["y"]).astype(np.complex64),
        "k": draw.permutation(shapes.rows),
        "l": draw.permuted(np.tile(np.arange(shapes.columns), (shapes.rows, 1)), axis=1),
        "t": draw.integers(0, shapes.columns, shapes.rows),
    }


def namespace(torch: Any, arrays: dict[str, np.ndarray], setup: str, requires_grad: bool) -> dict[str, Any]:
    """What an expression sees under one module: the operands as tensors, and what its setup makes."""
    names: dict[str, Any] = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "np": np}
    for name, array in arrays.items():
        names[name] = torch.tensor(array)
        if requires_grad and array.dtype.kind in "fc":
            names[name].requires_grad_()
    torch.manual_seed(0)
    exec(setup, names)
    return names


def names_in(code: CodeType) -> set[str]:
    """The names that an expression uses, those of the functions inside of it included."""
    inner = [names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def leaves(torch: Any, code: CodeType, names: dict[str, Any]) -> list[Any]:
    """The tensors in whose `.grad` a backward pass of the expression ends."""
    used = [names[name] for name in names_in(code) & names.keys()]
    found = [value for value in used if isinstance(value, torch.Tensor)]
    for value in used:
        if isinstance(value, torch.nn.Module):
            found += value.parameters()
    return [tensor for tensor in found if tensor.is_leaf and tensor.requires_grad]


def prepared(torch: Any, line: Line, arrays: dict[str, np.ndarray], mode: str) -> Closure | None:
    """One call of the expression in a mode, None where there is nothing to do in it; raises what the module raises."""
    names = namespace(torch, arrays, line.setup, mode != "forward")
    code = compile(line.expression, line.expression, "eval")
    run = eval(f"lambda: {line.expression}", names)
    if mode == "forward":
        with torch.no_grad():
            run()
        return without_gradient(torch, run)
    result = run()
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    place = next((i for i, part in enumerate(parts) if getattr(part, "requires_grad", False)), None)
    if place is None or not leaves(torch, code, names):
        return None
    if mode == "recorded":
        return run
    names |= {"gradient": torch.ones_like(parts[place]), "leaves": leaves(torch, code, names)}
    chosen = f"({line.expression})" if parts[0] is result else f"({line.expression})[{place}]"
    source = f"def step():\n    {chosen}.backward(gradient)\n    for leaf in leaves:\n        leaf.grad = None\n"
    exec(source, names)
    names["step"]()
    return names["step"]


def without_gradient(torch: Any, run: Closure) -> Closure:
    """`run`, whose operands require no gradient; modules have parameters, which do until they are told."""
    for value in run.__globals__.values():  # type: ignore[attr-defined]
        if isinstance(value, torch.nn.Module):
            value.requires_grad_(False)
    return run


def measured(
    subject: Any, torch: Any, words: list[str], sizes: list[str], modes: list[str], rounds: int
) -> Iterator[Found | str]:
    """Each comparison; a sentence for what the subject can't do."""
    for line in lines():
        if words and not any(word in line.expression or word == line.family for word in words):
            continue
        for size in sizes:
            arrays = operands(SIZES[size])
            for mode in modes:
                try:
                    reference = prepared(torch, line, arrays, mode)
                except Exception as refusal:
                    if mode == "forward":
                        yield f"PyTorch refuses {line.expression}: {type(refusal).__name__}: {refusal}"
                    continue
                if reference is None:
                    continue
                try:
                    own = prepared(subject, line, arrays, mode)
                    assert own is not None, "no gradient"
                except Exception as refusal:
                    yield f"refused: {line.expression}: {type(refusal).__name__}: {refusal}"
                    continue
                yield Found(line.expression, size, mode, *compare(own, reference, rounds, 0.0005, thread_time))


def report(found: list[Found], shown: int) -> str:
    """The table, the slowest first, and the counts by mode."""
    rows = [
        f"{one.ratio:7.2f}  {duration(one.own):>8}  {duration(one.reference):>8}  {one.size:5}  {one.mode:8}  "
        f"{one.expression}"
        for one in sorted(found, key=lambda one: -one.ratio)[:shown]
    ]
    head = f"{'ratio':>7}  {'own':>8}  {'PyTorch':>8}  {'size':5}  {'mode':8}  expression"
    return "\n".join([head, *rows, "", *counts(found)])


def counts(found: list[Found]) -> Iterator[str]:
    """How many comparisons lie below 1 and 1.5 and above 3 and 5, by mode and size, and the median ratio."""
    yield f"{'':16}  {'rows':>5}  {'< 1':>5}  {'< 1.5':>5}  {'> 3':>5}  {'> 5':>5}  median"
    groups = [(f"{size} {mode}", [one.ratio for one in found if (one.size, one.mode) == (size, mode)])
              for size in SIZES for mode in MODES]  # fmt: skip
    for title, ratios in [*groups, ("all", [one.ratio for one in found])]:
        if ratios:
            below, above = [sum(r < b for r in ratios) for b in (1, 1.5)], [sum(r > b for r in ratios) for b in (3, 5)]
            cells = "  ".join(f"{count:5}" for count in (len(ratios), *below, *above))
            yield f"{title:16}  {cells}  {np.median(ratios):6.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="only expressions that contain one of these, or families of that name")
    parser.add_argument("--subject", default="wengert", help="the module to time beside PyTorch")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--rounds", type=int, default=9, help="pairs of blocks for each comparison")
    parser.add_argument("--shown", type=int, default=60, help="how many of the slowest to print")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch, subject = importlib.import_module("torch"), importlib.import_module(options.subject)
    torch.set_num_threads(1)
    found = []
    for one in measured(subject, torch, options.words, options.sizes, options.modes, options.rounds):
        if isinstance(one, Found):
            found.append(one)
        else:
            print(one, flush=True)
    print(report(found, options.shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
