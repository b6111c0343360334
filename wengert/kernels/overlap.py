"""Whether an array that is written shares memory with one that is read, as PyTorch asks before it writes."""

import numpy as np


def dense(array):
    """Whether the elements lie side by side, in whatever order of dimensions."""
    steps = sorted((s, n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1)
    expected = array.itemsize
    for step, extent in steps:
        if step != expected:
            return False
        expected *= extent
    return True


def repeats(array):
    """Whether some dimension stays in one place, as `expand` makes it."""
    return array.size > 0 and any(
        stride == 0 and extent > 1 for stride, extent in zip(array.strides, array.shape, strict=True)
    )


def same_place(a, b):
    """Whether corresponding elements of two arrays are the same ones; leading dimensions of one element don't count."""
    if a.ctypes.data != b.ctypes.data or a.size != b.size:
        return False
    return (a.strides == b.strides and a.shape == b.shape) or walked(a) == walked(b)


def walked(array):
    """(extent, stride) of each dimension behind the leading ones of one element."""
    steps = list(zip(array.shape, array.strides, strict=True))
    while steps and steps[0][0] == 1:
        del steps[0]
    return steps


def shared(target, other):
    """Whether two arrays have elements in common. Arrays with gaps may; PyTorch looks at dense ones only."""
    if not np.may_share_memory(target, other) or not target.size or not other.size:
        return False
    return dense(target) and dense(other)


def crossed(target, other):
    """Whether some element of one array is another element of the other."""
    return target is not other and shared(target, other) and not same_place(target, other)
