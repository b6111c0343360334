"""Gated linear units, in the place of `wengert.kernels.activation`: both halves of an array in one walk each."""

import numpy as np

from wengert.kernels.cpu.pointwise import Kernel
from wengert.kernels.cpu.recorded import recordable
from wengert.kernels.pointwise import sigmoid


def product_slope(g, value, gate):
    """The cotangent of the half that is the gate."""
    s = sigmoid(gate)
    return g * value * s * (1 - s)


def kernel(name, formula):
    return Kernel(name, formula, recordable(formula))


GATED = kernel("glu", lambda value, gate: value * sigmoid(gate))
SLOPE = kernel("glu/input", product_slope)


def halves(array, dim):
    """Views of the two halves of a dimension."""
    half, before = array.shape[dim] // 2, (slice(None),) * (dim % array.ndim)
    return array[(*before, slice(half))], array[(*before, slice(half, None))]


def fill(out, kernel, *arrays):
    """Compute into `out`, by the reference if the kernel can't."""
    if not kernel.into(out, *arrays):
        out[...] = kernel.reference(*arrays)


class glu:
    """The first half of `dim` times the sigmoid of the second."""

    @staticmethod
    def beside(fallback):
        """As called where `fallback` is the reference, which refuses what has no halves."""

        def run(input, dim=-1):
            if not input.ndim or input.shape[dim] % 2 or input.dtype not in (np.float32, np.float64):
                return fallback(input, dim)
            return GATED(*halves(input, dim))

        return run


def glu_gradient(g, input, dim):
    out = np.empty(input.shape, input.dtype)
    (value, gate), (first, second) = halves(input, dim), halves(out, dim)
    g = np.asarray(g)
    fill(first, GATED, g, gate)
    fill(second, SLOPE, g, value, gate)
    return out
