"""Copies of large arrays along which both run in steps of one element, or the source repeats one.

A copy is an elementwise kernel without a formula. Elements of any kind are moved as whole numbers of their size. Where
an axis is turned into another, NumPy's loops do as well.
"""

import numpy as np

from wengert.kernels.cpu.pointwise import Kernel

KINDS = {size: np.dtype(f"i{size}") for size in (1, 2, 4, 8)}
COPY = Kernel("copy", np.positive, lambda x: x, identity=True)


def fill(target, source):
    """``target[...] = source``; None where it isn't done."""
    kind = KINDS.get(target.itemsize)
    if kind is None or target.dtype is not source.dtype or target.shape != source.shape or target.dtype.hasobject:
        return None
    steps = [(abs(t), t, s) for n, t, s in zip(target.shape, target.strides, source.strides, strict=True) if n > 1]
    if not steps:
        return None
    _, step, other = min(steps)
    if step != kind.itemsize or other not in (0, kind.itemsize):
        return None
    return target if COPY.into(target.view(kind), source.view(kind)) else None
