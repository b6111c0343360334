"""How large gradients and results are: sums of squares, which are 0 only where all is 0, and finite where all is."""

import numpy as np

from wengert.kernels.sparse import SparseArray
from wengert.tensor import Tensor

INFINITY = float("inf")


FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def size_of(g):
    """The sum of squares of a gradient: 0 only if all of it is 0, infinite or NaN only if some of it is."""
    if g.__class__ is np.ndarray:
        if g.dtype is FLOAT32 or g.dtype is FLOAT64:
            if g.ndim != 1:
                g = g.ravel("K")
            size = float(g.dot(g))
            if 0.0 < size < INFINITY:
                return size
        return exact_size(g)
    if g.__class__ is list:  # one for each of several results
        return sum(size_of(x) for x in g if x is not None)
    if isinstance(g, Tensor):
        return size_of(g._kept if g.is_sparse else g._array)
    if g.__class__ is SparseArray:
        return size_of(g.values)
    return abs(float(g.real if g.dtype.kind == "c" else g))  # a NumPy scalar: its size will do


def exact_size(g):
    """`size_of` where squares leave the range of the dtype, and for the rarer dtypes."""
    if g.dtype.kind in "biu":
        return float(g.any())
    with np.errstate(all="ignore"):
        g = np.abs(g.astype(np.complex128 if g.dtype.kind == "c" else np.float64)).reshape(-1)
        largest = g.max() if g.size else 0.0
        return float(largest) if not 0.0 < largest < 1e150 else float(g.dot(g)) or 5e-324
