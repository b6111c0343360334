"""`python -m benchmarks.large`: large arrays, wengert beside PyTorch, two threads each, in turn.

Beside the ratio of the medians stand the multiple of the machine's own bound (bytes over the speed of a copy, or
floating-point operations over the speed of a product, both measured in the same run), the memory that each side took at
its peak (in a process of its own), and, with --compile, the time of torch.compile.
"""

from __future__ import annotations

import os

THREADS = os.environ.setdefault("OMP_NUM_THREADS", "2")
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = THREADS

import argparse  # noqa: E402
import importlib  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from statistics import median  # noqa: E402
from time import perf_counter  # noqa: E402
from typing import Any  # noqa: E402

from benchmarks.large_rows import ROWS, LargeRow  # noqa: E402
from benchmarks.table import MARKS, duration  # noqa: E402
from benchmarks.timing import Closure  # noqa: E402


def seconds(run: Closure) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


SPINNING = 0.01  # seconds for which threads look out for more work after a call, at most


def alternating(*sides: Closure, rounds: int) -> list[list[float]]:
    """The times of all sides in turn, per call, each after calls that are not timed: until the threads of the other
    side have gone to sleep, and the caches hold this one's arrays, as in a loop of steps.
    """
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(-1, rounds):
        order = range(len(sides)) if turn % 2 else reversed(range(len(sides)))
        for side in order:
            repeated(sides[side])
            taken = repeated(sides[side])
            if turn >= 0:
                times[side].append(taken)
    return times


def repeated(run: Closure) -> float:
    """Seconds of a call, of as many as take `SPINNING` together."""
    total, calls = 0.0, 0
    while total < SPINNING:
        total += seconds(run)
        calls += 1
    return total / calls


def speeds(torch: Any) -> tuple[float, float]:
    """Bytes per second of a copy, FLOP per second of a product: the best of several, by PyTorch's own threads."""
    source, target = torch.ones(16_000_000), torch.ones(16_000_000)
    copy = min(seconds(lambda: target.copy_(source)) for _ in range(15))
    a, b = torch.ones(2048, 2048), torch.ones(2048, 2048)
    product = min(seconds(lambda: a @ b) for _ in range(5))
    return 2 * 4 * 16e6 / copy, 2 * 2048**3 / product


PEAK = """
import importlib, sys
from benchmarks.large_rows import ROWS
torch = importlib.import_module(sys.argv[1])
torch.set_num_threads(int(sys.argv[3])) if sys.argv[1] == "torch" else None
def peak():
    with open("/proc/self/status") as file:  # a child's ru_maxrss begins at its parent's
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
row = next(row for row in ROWS if row.name == sys.argv[2])
torch.ones(2).sum()
before = peak()
run = row.make(torch, lambda f: f)
for _ in range(5):
    run()
print((peak() - before) / 1024)
"""


def peak_megabytes(module: str, row: LargeRow) -> float:
    """How much the row adds to the memory of a fresh process at its peak."""
    command = [sys.executable, "-W", "ignore", "-c", PEAK, module, row.name, THREADS]
    return float(subprocess.check_output(command, text=True))


def measured(row: LargeRow, subject: Any, torch: Any, options: argparse.Namespace, limits: tuple[float, float]) -> list:
    plain = lambda f: f
    sides = [row.make(subject, plain), row.make(torch, plain)]
    compiled = ""
    if options.compile:
        try:
            run = row.make(torch, torch.compile)
            run()
            sides.append(run)
        except Exception as error:
            compiled = type(error).__name__
    times = alternating(*sides, rounds=options.rounds)
    medians = [median(side) for side in times]
    ratio = median(a / b for a, b in zip(times[0], times[1], strict=True))
    bound = max(row.bytes / limits[0], row.flop / limits[1])
    if len(medians) > 2:
        compiled = duration(medians[2])
    del sides
    memory = [f"{peak_megabytes(name, row):.0f} MB" for name in (subject.__name__, "torch")] if options.memory else []
    times_bound = f"{medians[0] / bound:.1f}" if bound else ""
    return [row.title, duration(medians[0]), duration(medians[1]), f"{ratio:.2f}", f"≤ {row.bound:g}",
            MARKS[ratio <= row.bound], times_bound, compiled, *memory]  # fmt: skip


WIDTHS = (68, 9, 9, 6, 7, 2, 9, 9, 8, 9)


def aligned(cells: list[str]) -> str:
    first, *rest = (c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(cells, WIDTHS, strict=False)))
    return "  ".join((first, *rest)).rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"only these: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--subject", default="wengert", help="the module to time beside PyTorch")
    parser.add_argument("--rounds", type=int, default=15, help="calls of each side")
    parser.add_argument("--compile", action="store_true", help="torch.compile as a third side (needs a C++ compiler)")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave out peak memory")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bound is missed")
    options = parser.parse_args()
    torch, subject = importlib.import_module("torch"), importlib.import_module(options.subject)
    torch.set_num_threads(int(THREADS))
    limits = speeds(torch)
    print(f"copy {limits[0] / 1e9:.1f} GB/s, product {limits[1] / 1e9:.0f} GFLOP/s, {THREADS} threads each\n")
    head = ["measured", options.subject, "PyTorch", "ratio", "bound", "", "× machine", "compile", "peak", "PyTorch's"]
    print(aligned(head))
    missed = []
    for row in ROWS:
        if options.rows and row.name not in options.rows:
            continue
        cells = measured(row, subject, torch, options, limits)
        if not cells[5].startswith(MARKS[True]):
            missed.append(row.name)
        print(aligned(cells), flush=True)
    print(f"\nmissed: {', '.join(missed) or 'none'}")
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
