"""How two closures are compared: short blocks of calls, taken in turn, so that both meet the same weather.

A machine's speed drifts (other processes, clock frequency, caches). Blocks of a few milliseconds taken alternately
see the same drift; the ratio of each adjacent pair is therefore steadier than either time, and the median of the
ratios ignores the pairs in which something else ran.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import repeat
from statistics import median
from time import perf_counter
from typing import NamedTuple

Closure = Callable[[], object]
Clock = Callable[[], float]


class Timing(NamedTuple):
    """Median seconds per call of both sides, and the median of the ratios subject/reference of adjacent blocks."""

    subject: float
    reference: float
    ratio: float


def block(run: Closure, calls: int, clock: Clock = perf_counter) -> float:
    """Seconds that `calls` calls of `run` take, in a loop without bytecode for the counter."""
    start = clock()
    for _ in repeat(None, calls):
        run()
    return clock() - start


def calls_per_block(run: Closure, seconds: float, clock: Clock = perf_counter) -> int:
    """How many calls of `run` fill a block of about `seconds`."""
    calls = 1
    while (elapsed := block(run, calls, clock)) < seconds / 4:
        calls *= 2
    return max(1, round(calls * seconds / elapsed))


def compare(
    subject: Closure, reference: Closure, rounds: int = 41, seconds: float = 0.004, clock: Clock = perf_counter
) -> Timing:
    """Time two closures in alternating blocks, the first place changing from round to round.

    What runs in one thread may be timed by `time.thread_time`, which stands still while another program has the
    processor.
    """
    sides = (subject, reference)
    calls = [calls_per_block(run, seconds, clock) for run in sides]
    # What the imports left behind is nobody's garbage: frozen, it doesn't weigh on either side's collections.
    gc.collect()
    gc.freeze()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 else (1, 0):
            times[side].append(block(sides[side], calls[side], clock) / calls[side])
    return Timing(median(times[0]), median(times[1]), median(a / b for a, b in zip(*times, strict=True)))
