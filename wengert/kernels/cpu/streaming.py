"""Results that no cache holds, written past all of them.

A processor that writes to a line of memory fetches the line first, though all of it is about to be overwritten. Where a
result is so large that little of it would still be in a cache when it is next read, its lines are better sent straight
to memory: a third of the traffic of `x + y` is saved. The instructions for that want whole vectors in their places, so
a kernel that streams has a second form for results that lie elsewhere.
"""

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

DATA_OFFSET = 16  # of an ndarray's pointer to its elements, in the object (PyArrayObject_fields)
LINE = 64  # bytes
USUAL = 1 << 25  # bytes of a last-level cache, where the system doesn't say
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@cache
def smallest():
    """The bytes from which on a result is streamed: half of the largest cache."""
    sizes = []
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text().strip()
        if text[:-1].isdigit():
            sizes.append(int(text[:-1]) * UNITS.get(text[-1], 1))
    return max(sizes, default=USUAL) // 2


def worthwhile(result, strides):
    """Whether to stream a result of that many bytes, whose rows (its outer strides) begin at whole lines."""
    return result >= smallest() and not any(s % LINE for s in strides)


def aligned(array):
    """Whether the elements of the array with this id begin at a whole line."""
    return ctypes.c_int64.from_address(array + DATA_OFFSET).value % LINE == 0


def lines_of_zeros(count, columns, dtype):
    """Zeros (count, columns), each row of whole cache lines: threads that write to different rows share none."""
    size = np.dtype(dtype).itemsize
    width = -(-columns * size // LINE) * LINE // size
    raw = np.zeros(count * width + LINE // size, dtype)
    start = -raw.__array_interface__["data"][0] % LINE // size
    return raw[start : start + count * width].reshape(count, width)[:, :columns]


class Streaming:
    """A kernel in two forms, as one function: the first where all results begin at whole lines.

    Args:
        streamed, plain: functions without arguments that compile the forms.
        results: which of the arrays these are.
    """

    def __init__(self, streamed, plain, results):
        self.streamed, self.plain, self.results = cache(streamed), cache(plain), results

    def __call__(self, layout, *arrays):
        whole = all(aligned(arrays[k]) for k in self.results)
        (self.streamed if whole else self.plain)()(layout, *arrays)
