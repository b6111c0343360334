"""Operations beside the NumPy expressions of the same results, on large arrays: none may be more than 3 times slower.

    python -m benchmarks.expressions [WORDS...]

On arrays of 10^5 elements and more the work is the array's, and NumPy says what that costs. The expressions come from
the declarations, where an operation's kernel is a NumPy function, and else from expressions.txt, which pairs PyTorch's
with NumPy's. Both sides see the same memory under the same names. Not compared is what NumPy has no expression for:
special functions beyond its own, factorisations that it lacks, gradients; and views, which move no data.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.table import duration
from benchmarks.timing import Closure, compare

BOUND = 3.0
AT_LEAST = 10e-6  # seconds: what NumPy does in less is no work on arrays, but the cost of a call
SIZES = (100_000, 1_000_000)

# Operands of the operations whose kernel is a NumPy function, where they are not floats between 0.1 and 0.9.
OPERANDS = {
    **dict.fromkeys(["gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor"], "ij"),
    **dict.fromkeys(["bitwise_left_shift", "bitwise_right_shift"], "ij"),
    **dict.fromkeys(["logical_and", "logical_or", "logical_xor", "logical_not"], "ab"),
    "acosh": "d",
}


class Found(NamedTuple):
    """One comparison: the expression, the number of elements, both times and their ratio."""

    expression: str
    size: int
    own: float
    numpy: float
    ratio: float


def paired() -> dict[str, str]:
    """The table of expressions.txt: PyTorch's expression -> NumPy's."""
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\n ", " ").splitlines()
    return dict(re.split(r"\s+~\s{2,}", line, maxsplit=1) for line in joined)


def operands(size: int) -> dict[str, np.ndarray]:
    """The arrays that the expressions speak of, of `size` elements or as near as their shapes allow.

    `x` and `y` lie between 0.1 and 0.9, `s` between -3 and 3, `d` between 1 and 5; `z` is complex, `i` and `j` are
    integers from 1 to 99, `a` and `b` truth values: all matrices of one shape. `k` permutes its rows, `q` the elements
    of each row, `l` holds one column for each row, `t` is as long as a row, `f` as all rows together. `u` and `v` are
    square, `h` is 8 of a kind, `p` images of 8 channels.
    """
    draw = np.random.default_rng(0)
    rows = int(size**0.5) // 4 * 4
    columns = size // rows
    side = int(size**0.5)
    batch, images = int((size / 8) ** 0.5), int((size / 32) ** 0.5) // 2 * 2
    between = {"x": (0.1, 0.9), "y": (0.1, 0.9), "s": (-3, 3), "d": (1, 5)}
    named = {name: draw.uniform(low, high, (rows, columns)).astype(np.float32) for name, (low, high) in between.items()}
    named |= {name: draw.integers(1, 100, (rows, columns)) for name in "ij"}
    named |= {name: draw.random((rows, columns)) < 0.5 for name in "ab"}
    named |= {name: draw.random((side, side)).astype(np.float32) for name in "uv"}
    return named | {
        "z": (named["x"] + 1j * named["y"]).astype(np.complex64),
        "k": draw.permutation(rows),
        "q": draw.permuted(np.tile(np.arange(columns), (rows, 1)), axis=1),
        "l": draw.integers(0, columns, rows),
        "h": draw.random((8, batch, batch)).astype(np.float32),
        "t": draw.random(columns).astype(np.float32),
        "f": draw.random(size).astype(np.float32),
        "p": draw.random((4, 8, images, images)).astype(np.float32),
    }


def generated() -> dict[str, str]:
    """Expressions of the operations whose kernel is a NumPy function, from their declarations."""
    from wengert.ops.declare import FUNCTIONS, Pointwise

    pairs = {}
    for name, operation in FUNCTIONS[""].items():
        if isinstance(operation, Pointwise) and isinstance(operation.kernel, np.ufunc) and operation.name == name:
            named = ", ".join(OPERANDS.get(name, "xy")[: operation.kernel.nin])
            pairs[f"torch.{name}({named})"] = f"np.{operation.kernel.__name__}({named})"
    return pairs


def closures(
    expression: str, numpy_expression: str, arrays: dict[str, np.ndarray], torch: Any
) -> tuple[Closure, Closure]:
    """Both sides of one comparison, to be called again and again."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    own = eval(f"lambda: {expression}", {"torch": torch, "F": torch.nn.functional, **tensors})
    twister = np.random.RandomState(0)
    return own, eval(f"lambda: {numpy_expression}", {"np": np, "twister": twister, **arrays})


def measured(torch: Any, words: list[str], sizes: tuple[int, ...] = SIZES) -> Iterator[Found]:
    """Each comparison at each size; what looks too slow is measured once more, at length."""
    pairs = generated() | paired()
    for size in sizes:
        arrays = operands(size)
        for expression, numpy_expression in pairs.items():
            if words and not any(word in expression for word in words):
                continue
            own, reference = closures(expression, numpy_expression, arrays, torch)
            timing = compare(own, reference, rounds=5, seconds=0.002)
            if timing.reference < AT_LEAST:
                continue
            if timing.ratio > 0.8 * BOUND:
                timing = compare(own, reference, rounds=21, seconds=0.004)
            yield Found(expression, size, *timing)


def slow(found: list[Found]) -> list[Found]:
    """Those beyond the bound, the slowest first."""
    return sorted((one for one in found if one.ratio > BOUND), key=lambda one: -one.ratio)


def report(found: list[Found]) -> str:
    """What a reader of `make bench` sees."""
    late = slow(found)
    lines = [
        f"{len(found) - len(late)} of {len(found)} operations on large arrays take at most {BOUND:g} times NumPy's time"
    ]
    lines += [
        f"  {one.ratio:5.1f} times: {one.expression} at {one.size:,} elements, "
        f"{duration(one.own)} against {duration(one.numpy)}"
        for one in late
    ]
    return "\n".join(lines)


def main() -> int:
    import wengert

    warnings.simplefilter("ignore")  # determinants of large matrices overflow, on both sides
    parser = argparse.ArgumentParser(prog="python -m benchmarks.expressions", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="only the expressions that contain one of these")
    parser.add_argument("--all", action="store_true", help="print every ratio, not only those beyond the bound")
    options = parser.parse_args()
    found = []
    for one in measured(wengert, options.words):
        found.append(one)
        if options.all:
            print(f"{one.ratio:6.2f}  {one.size:>9,}  {one.expression}", flush=True)
    print(report(found))
    return 1 if slow(found) else 0


if __name__ == "__main__":
    sys.exit(main())
