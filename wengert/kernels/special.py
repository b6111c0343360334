"""Special functions on arrays, by SciPy, which is imported when the first of them runs; 16-bit floats pass through float32."""

import numpy as np


def by_scipy(name, *arrays):
    """The SciPy function `name` of float arrays, in their dtype; raises ModuleNotFoundError where SciPy is missing."""
    from scipy import special

    dtype = np.result_type(*arrays)
    wide = dtype if dtype in (np.float32, np.float64) else np.float32
    return np.asarray(getattr(special, name)(*(array.astype(wide, copy=False) for array in arrays))).astype(dtype, copy=False)


def digamma(input):
    """The derivative of lgamma; at zero it takes the sign that the zero has, as a limit from that side."""
    result = by_scipy("psi", input)
    return np.where(input == 0, np.copysign(input.dtype.type(np.inf), -input), result).astype(input.dtype, copy=False)


def polygamma(n, input):
    """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x)."""
    from scipy import special

    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    wide = input if input.dtype in (np.float32, np.float64) else input.astype(np.float32)
    return np.asarray(special.polygamma(n, wide)).astype(input.dtype, copy=False)


def erfinv(input):
    return by_scipy("erfinv", input)


def i0(input):
    return by_scipy("i0", input)


def i1(input):
    return by_scipy("i1", input)


def gammainc(input, other):
    return by_scipy("gammainc", input, other)


def gammaincc(input, other):
    return by_scipy("gammaincc", input, other)
