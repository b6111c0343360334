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


class converted:
    """Conversions among numbers that a vector can hold; of floats, to floats and to int64."""

    @staticmethod
    def beside(fallback):
        """As called where `fallback` is the reference."""

        def run(input, dtype, source, order):
            target = dtype.numpy
            fits = input.dtype in SUPPORTED and target in SUPPORTED and input.dtype != target
            if fits and (target.kind in "fV" or target == np.int64):
                out = np.empty_like(input, target, order)
                if kernel_to(target).into(out, input):
                    return out
            return fallback(input, dtype, source, order)

        return run
