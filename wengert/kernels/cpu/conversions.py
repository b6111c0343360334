"""From one dtype to another, in the place of what converts tensors: NumPy converts 16-bit floats one by one."""

from functools import cache

import numpy as np

from wengert.kernels.cpu.expressions import F32, HALVES, SUPPORTED, cast
from wengert.kernels.cpu.pointwise import Kernel


@cache
def kernel_to(target):
    """The kernel that converts to a dtype."""
    computed = F32 if target in HALVES else target

    def formula(x):
        tree = cast(x, computed)
        return tree if tree is not x else x * 1.0  # what memory holds is converted on the way in and out

    return Kernel(f"to {target}", None, formula)


WHOLE = {np.dtype(np.int64), np.dtype(np.int32)}  # to which floats are converted as NumPy converts them


def convert(input, target, order):
    """Numbers that a vector can hold; floats only to floats and to whole numbers of 32 and 64 bits. None for others."""
    fits = input.dtype in SUPPORTED and target in SUPPORTED and input.dtype != target
    if not fits or (target.kind not in "fV" and target not in WHOLE and input.dtype.kind in "fV"):
        return None
    out = np.empty_like(input, target, order)
    return out if kernel_to(target).into(out, input) else None


class Conversion:
    """What stands in for a conversion by NumPy; `target` says which of the two dtypes, of the result and of what was
    converted first, it is to.
    """

    def __init__(self, target):
        self.target = target

    def beside(self, fallback):
        def run(input, dtype, source, order):
            found = convert(input, self.target(dtype, source).numpy, order)
            return fallback(input, dtype, source, order) if found is None else found

        return run


converted = Conversion(lambda dtype, source: dtype)
converted_back = Conversion(lambda dtype, source: source)  # the derivative, of which the result is what was converted
