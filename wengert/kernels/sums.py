"""Sums of gradients: of those that meet at a node, and over leading axes with an error that hardly grows with their
length.

NumPy adds the numbers of a row in pairs, pairs of pairs and so on, but it adds rows to each other one after the other:
the error of a column's sum grows with the number of rows, and the gradient of a bias is such a sum over the batch.
Here rows are added in blocks of 64, the sums of the blocks likewise, and so on. A block's sum is the product of a row
of ones with it, in which BLAS keeps several columns in registers: less than half the time of NumPy's sum.
"""

from functools import cache
from sys import getrefcount

import numpy as np

from wengert.kernels import choices
from wengert.kernels.choices import by_size

BLOCK = 64  # rows that are added one after the other
LARGE, ADD = choices.pointwise("add", np.add, lambda: np.add) or (1 << 62, None)


def large(a, b):
    """Whether two arrays are alike, and large enough for the threads to add them."""
    if not choices.state.active or type(a) is not np.ndarray or type(b) is not np.ndarray or a.size < LARGE:
        return False
    return a.dtype is b.dtype and a.shape == b.shape


def count(array):
    """References to an array while a function of one argument looks at it."""
    return getrefcount(array)


def of_one_holder():
    """`count` for an array that only the caller holds (newer Pythons count their own references less often)."""
    array = np.empty(0)
    return count(array)


ALONE = of_one_holder()


def holders_of_base(view):
    """References to the array that a view shows."""
    base = view.base
    return getrefcount(base)


VIEWED = holders_of_base(np.empty(2).reshape(2, 1))


def is_whole(view):
    """Whether a view shows all of an array that nobody else holds, row by row, so that it may stand for the array."""
    base = view.base
    if type(base) is not np.ndarray or not base.flags.owndata or base.nbytes != view.nbytes:
        return False
    del base
    return view.flags.forc and holders_of_base(view) == VIEWED


def plus(a, b):
    """``a + b``, written over `a` where that is large and nobody but the caller holds it."""
    if not large(a, b):
        return a + b
    if getrefcount(a) == ALONE and a.base is None and a.flags.writeable and ADD.into(a, a, b):
        return a
    return ADD(a, b)


def add_to(a, b):
    """``a += b`` for an array `a`."""
    if not large(a, b) or not ADD.into(a, a, b):
        np.add(a, b, out=a)


@cache
def row_of_ones(dtype):
    return np.ones(BLOCK, dtype)


@by_size
def add_rows(array):
    """The sum over the first axis."""
    if array.shape[0] <= BLOCK or array.dtype.char not in "fdFD":
        return np.add.reduce(array, 0)
    rows, ones = array.reshape(len(array), -1), row_of_ones(array.dtype)
    while len(rows) > BLOCK:
        blocks, left = divmod(len(rows), BLOCK)
        whole = len(rows) - left
        partial = np.matmul(ones, rows[:whole].reshape(blocks, BLOCK, -1))
        if left:
            partial[0] += np.add.reduce(rows[whole:], 0)
        rows = partial
    total = np.add.reduce(rows, 0)
    return total if array.ndim == 2 else total.reshape(array.shape[1:])


def add(array, axes, keepdims=False):
    """The sum over `axes`, a tuple of axes counted from the front, the leading ones among them by `add_rows`."""
    leading = 0
    while leading in axes:
        leading += 1
    few = array.size <= BLOCK or (leading == 1 and array.size <= 4096 and len(array) <= BLOCK)
    if few or not 0 < leading < array.ndim:
        return np.add.reduce(array, axes, keepdims=keepdims)
    total = add_rows(array.reshape(-1, *array.shape[leading:]))
    if len(axes) > leading:
        total = np.add.reduce(total, tuple(axis - leading for axis in axes if axis >= leading))
    return total.reshape([1 if i in axes else n for i, n in enumerate(array.shape)]) if keepdims else total
