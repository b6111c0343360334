"""`python -m benchmarks.accuracy`: how far elementary functions of large arrays are from the true values.

An error is counted in units in the last place (the distance to the next number of the dtype at the true value). float32
is walked over bit patterns, all of them unless `--every` says otherwise, against float64; float64 at drawn numbers of
all sizes and at hard ones, against mpmath in 40 digits. A result that should be NaN, infinite, zero or of a sign and is
not counts as infinitely far. `--beside torch` shows PyTorch's own errors in the next column. Needs SciPy and mpmath.
"""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

CHUNK = 1 << 22
BOUNDS = {"float32": 2, "float64": 4}
LARGE = 1 << 16  # elements, so that fast kernels are what is measured
EDGES = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, 2.0, 5e-324, 2.3e-308, 1e-300, 1.7e308, 709.7,
         709.8, -708.4, -745.1, -745.2, 1e-8, 1e-16, 22.0, 0.625, 6.0, 26.5, 27.3, math.pi, math.pi / 2, 355.0, 1e6,
         1e15, 1e22, 6381956970095103 * 2.0**797]  # fmt: skip


class Row(NamedTuple):
    """A function: its name in the libraries, its value in float64, and as mpmath has it (by name, or a function)."""

    name: str
    wide: Callable[[np.ndarray], np.ndarray]
    exact: str | Callable[[Any], Any] | None = None  # None where float64 is SciPy's own


def special(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function of scipy.special, imported when it is needed."""
    return lambda x: getattr(importlib.import_module("scipy.special"), name)(x)


def by_mpmath(name: str) -> Callable[[Any], Any]:
    return getattr(importlib.import_module("mpmath"), name)


def digamma(x: np.ndarray) -> np.ndarray:
    """As PyTorch has it, infinite at zeros."""
    return np.where(x == 0, np.copysign(np.inf, -x), special("psi")(x))


def lgamma(x: np.ndarray) -> np.ndarray:
    """As PyTorch has it, infinite at both ends."""
    return np.where(np.isinf(x), np.inf, special("gammaln")(x))


def power(exponent: float) -> Row:
    return Row(f"pow {exponent}", lambda x: np.power(x, exponent), lambda x: by_mpmath("power")(x, exponent))


ROWS = [
    Row("exp", np.exp, "exp"), Row("exp2", np.exp2, lambda x: by_mpmath("power")(2, x)),
    Row("expm1", np.expm1, "expm1"), Row("log", np.log, "log"),
    Row("log2", np.log2, lambda x: by_mpmath("log")(x, 2)), Row("log10", np.log10, "log10"),
    Row("log1p", np.log1p, "log1p"), Row("tanh", np.tanh, "tanh"), Row("erf", special("erf"), "erf"),
    Row("erfc", special("erfc"), "erfc"), Row("sin", np.sin, "sin"), Row("cos", np.cos, "cos"),
    Row("tan", np.tan, "tan"), Row("asin", np.arcsin, "asin"), Row("acos", np.arccos, "acos"),
    Row("atan", np.arctan, "atan"), Row("sinh", np.sinh, "sinh"), Row("cosh", np.cosh, "cosh"),
    Row("asinh", np.arcsinh, "asinh"), Row("acosh", np.arccosh, "acosh"), Row("atanh", np.arctanh, "atanh"),
    Row("sqrt", np.sqrt, "sqrt"), Row("rsqrt", lambda x: 1 / np.sqrt(x), lambda x: 1 / by_mpmath("sqrt")(x)),
    Row("erfinv", special("erfinv")), Row("digamma", digamma), Row("lgamma", lgamma),
    *map(power, (2.5, -0.375, 0.75, -2.0, 3.0)),
]  # fmt: skip


def calls(row: Row, library: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The function as programs call it, from arrays to arrays."""
    name, _, exponent = row.name.partition(" ")
    rest = (float(exponent),) if exponent else ()
    return lambda x: getattr(library, name)(library.from_numpy(x), *rest).numpy()


def distances(got: np.ndarray, rounded: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Units in the last place between `got` and the true value, which is `rounded` (of the same dtype) + `rest`."""
    largest = np.finfo(got.dtype).max
    with np.errstate(all="ignore"):
        unit = np.spacing(np.where(np.isfinite(rounded), np.abs(rounded), 1)).astype(np.float64)
        found = np.abs((got.astype(np.float64) - rounded) - rest) / unit
        # The largest number and infinity are neighbours, though there is no number for their distance.
        infinite = np.isinf(got) | np.isinf(rounded)
        apart = np.where(np.clip(got, -largest, largest) == np.clip(rounded, -largest, largest), 1.0, np.inf)
        found = np.where(infinite, np.where(got == rounded, 0.0, apart), found)
        wrong_sign = (got == 0) & (rounded == 0) & (rest == 0) & (np.signbit(got) != np.signbit(rounded))
        found = np.where(wrong_sign | (np.isnan(got) != np.isnan(rounded)), np.inf, found)
    return np.where(np.isnan(got) & np.isnan(rounded), 0.0, found)


def singles(every: int) -> Iterator[np.ndarray]:
    """float32 of each `every`-th bit pattern, in pieces."""
    for start in range(0, 1 << 32, CHUNK * every):
        yield np.arange(start, min(start + CHUNK * every, 1 << 32), every, dtype=np.uint32).view(np.float32)


def doubles(count: int, seed: int) -> np.ndarray:
    """float64 numbers: any bit patterns, plain and small ones, neighbours of 0, 1 and of multiples of pi/2."""
    rng = np.random.default_rng(seed)
    edges = np.array(EDGES)
    turns = rng.integers(1, 1 << 30, count // 4) * (math.pi / 2)
    with np.errstate(all="ignore"):
        parts = [
            rng.integers(0, 1 << 64, count, dtype=np.uint64).view(np.float64), rng.uniform(-750, 750, count),
            rng.uniform(-1, 1, count), 1 + rng.uniform(-1, 1, count) * 2.0 ** rng.uniform(-52, 0, count),
            rng.choice([-1, 1], count) * 10.0 ** rng.uniform(-20, 2, count), turns, -turns, edges, -edges,
            np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf),
        ]  # fmt: skip
    return np.resize(np.concatenate(parts), max(LARGE, sum(map(len, parts))))


def true_value(exact: Callable[[Any], Any], x: float, plain: float) -> tuple[float, float]:
    """The true value at `x` as a float64 and a rest; where it is NaN, infinite or zero, float64's own is right."""
    mpmath = importlib.import_module("mpmath")
    if not math.isfinite(x) or math.isnan(plain) or plain == 0 == x:
        return plain, 0.0
    try:
        value = exact(mpmath.mpf(x))
    except (ValueError, ZeroDivisionError, OverflowError):
        return plain, 0.0
    if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value):
        return plain, 0.0
    rounded = float(value)
    return rounded, float(value - rounded) if math.isfinite(rounded) else 0.0


class Worst(NamedTuple):
    """The largest error seen, and where."""

    error: float = 0.0
    place: float = math.nan

    def or_of(self, x: np.ndarray, errors: np.ndarray) -> Worst:
        k = int(np.argmax(errors))
        return Worst(float(errors[k]), float(x[k])) if errors[k] > self.error else self


def of_singles(row: Row, libraries: list[Any], every: int) -> list[Worst]:
    """The worst of each library over float32."""
    worst = [Worst() for _ in libraries]
    for x in singles(every):
        with np.errstate(all="ignore"):
            exact = row.wide(x.astype(np.float64))
            rounded = exact.astype(np.float32)
            rest = np.where(np.isfinite(rounded), exact - rounded, 0.0)
        for k, library in enumerate(libraries):
            worst[k] = worst[k].or_of(x, distances(calls(row, library)(x), rounded, rest))
    return worst


def of_doubles(row: Row, libraries: list[Any], count: int, seed: int) -> list[Worst]:
    """The worst of each library over float64."""
    exact = row.exact if callable(row.exact) else by_mpmath(str(row.exact))
    x = doubles(count, seed)
    different, where = np.unique(x.view(np.uint64), return_inverse=True)
    different = different.view(np.float64)
    with np.errstate(all="ignore"):
        pairs = [true_value(exact, a, b) for a, b in zip(different.tolist(), row.wide(different).tolist(), strict=True)]
    rounded, rest = np.array(pairs)[where].T
    return [Worst().or_of(x, distances(calls(row, library)(x), rounded, rest)) for library in libraries]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("rows", nargs="*", help="only these functions")
    parser.add_argument("--every", type=int, default=1, help="walk each N-th bit pattern of float32 (2³² are minutes)")
    parser.add_argument("--points", type=int, default=4000, help="numbers of each kind in float64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beside", help="a module whose errors are shown, too, such as torch")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bound is missed")
    options = parser.parse_args()
    names = ["wengert", *([options.beside] if options.beside else [])]
    libraries = [importlib.import_module(name) for name in names]
    importlib.import_module("mpmath").mp.dps = 40
    print(f"{'function':10} {'dtype':8} {'bound':>5}" + "".join(f"  {f'{n}: ulp':>14} {'at':>15}" for n in names))
    missed = False
    for row in ROWS:
        if options.rows and row.name not in options.rows:
            continue
        found = [of_singles(row, libraries, options.every)]
        if row.exact is not None:
            found.append(of_doubles(row, libraries, options.points, options.seed))
        for (dtype, bound), worst in zip(BOUNDS.items(), found, strict=False):
            cells = "".join(f"  {w.error:14.3f} {w.place:15.8g}" for w in worst)
            over = worst[0].error > bound
            missed |= over
            print(f"{row.name:10} {dtype:8} {bound:5g}{cells}{'  MISSED' if over else ''}", flush=True)
    return int(options.strict and missed)


if __name__ == "__main__":
    raise SystemExit(main())
