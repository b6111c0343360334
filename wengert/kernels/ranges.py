"""Numbers in equal steps, rounded as PyTorch's loops round them, to the last bit.

A fused multiply-add, which NumPy lacks, is computed in the next wider type and rounded once.
"""

import numpy as np

BLOCK = 8192  # numbers made at a time: what is written on the way stays in the first-level cache
WIDER = {"f": np.float64, "d": np.longdouble, "F": np.complex128, "D": np.clongdouble}


def counted(start, step, count, kind):
    """`count` numbers from `start` on, rounded as by PyTorch's loop over vectors of 32 bytes, two at a time: the first
    number of a vector is rounded to its dtype, and the others counted from there.
    """
    if kind.kind == "c" or (start == int(start) and step == int(step)):
        return (start + np.arange(count, dtype=np.float64) * step).astype(kind)
    wider = np.longdouble if kind == np.float64 else np.float64
    start, step, lanes, i = wider(start), wider(step), 32 // kind.itemsize, np.arange(count)
    lane = i % lanes
    firsts = (start + step * (i - lane)).astype(kind).astype(wider)
    in_vectors = i < count - count % (2 * lanes)
    return np.where(in_vectors, firsts + step * lane, start + step * i).astype(kind)


def spaced(start, end, steps, kind, fused=True):
    """`steps` numbers from `start` to `end`, counted from the nearer end so that both are exact; `fused` says that
    product and sum are rounded once, not each. In 16 bits each step is.
    """
    work = np.dtype(np.float32) if kind.itemsize == 2 else kind
    wider = WIDER[work.char] if fused else work
    a, b = (np.asarray(x, kind).astype(work) for x in (start, end))
    step = (b - a) / np.asarray(steps - 1, work) if steps else a
    step = (step.astype(kind) if kind.itemsize == 2 else step).astype(wider)
    a, b = a.astype(wider), b.astype(wider)
    line, half, places = np.empty(steps, kind), steps // 2, np.arange(BLOCK, dtype=np.float64)
    for start, end in ((0, half), (half, steps)):
        for low in range(start, end, BLOCK):
            part = line[low : min(low + BLOCK, end)]
            i = places[: part.size]
            way = step * (low + i if end == half else steps - 1 - low - i).astype(wider, copy=False)
            if kind.itemsize == 2:
                way = way.astype(kind).astype(wider)
            part[...] = (a + way if end == half else b - way).astype(work)
    return line
