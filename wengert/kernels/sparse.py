"""Sums over segments, and gradients that are zero but for a few rows.

Everything that a sparse tensor does to its values is one of two maps, each the other's transpose: `take` reads a row
for each key, `segment_sum` adds the rows of equal keys together.
"""

import numpy as np


def segments(keys):
    """(order, starts, kept): what sorts `keys` (None if nothing need be), where each run begins, and its key."""
    if keys.size < 2 or (keys[1:] > keys[:-1]).all():
        return None, None, keys
    order = None if (keys[1:] >= keys[:-1]).all() else np.argsort(keys, kind="stable")
    ordered = keys if order is None else keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return order, starts, ordered[starts]


def segment_sum(values, keys, count):
    """The sum of the rows of `values` for each key below `count`, which need not be sorted."""
    out = np.zeros((count, *values.shape[1:]), values.dtype)
    order, starts, kept = segments(keys)
    if order is not None:
        values = values[order]
    if starts is not None:
        values = np.add.reduceat(values, starts, axis=0)
    out[kept] = values
    return out


def take(input, keys, count):
    """The row of `input` for each key."""
    return input[keys]


def product(values, matrix, rows, columns, count):
    """The matrix (count, ...) of these values at (rows, columns) times a dense `matrix`."""
    wide = values.dtype
    if wide.itemsize == 2:  # 16-bit values are summed in 32 bits
        values, matrix = values.astype(np.float32), matrix.astype(np.float32)
    order, starts, kept = segments(rows)
    if order is not None:
        values, columns = values[order], columns[order]
    terms = matrix[columns]
    terms *= values[:, None]
    out = np.zeros((count, matrix.shape[1]), values.dtype)
    out[kept] = terms if starts is None else np.add.reduceat(terms, starts, axis=0)
    return out.astype(wide, copy=False)


class SparseArray:
    """A gradient that is zero but for some rows of its first dimension, on its way through the backward pass.

    Two of them add up by standing side by side; with anything else it becomes an ordinary array.
    """

    __slots__ = ("indices", "values", "shape")

    def __init__(self, indices, values, shape):
        self.indices = indices
        self.values = values
        self.shape = shape

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def ndim(self):
        return len(self.shape)

    def astype(self, dtype):
        """The same rows in another dtype."""
        return SparseArray(self.indices, self.values.astype(dtype), self.shape)

    def __add__(self, other):
        if type(other) is SparseArray:
            same = np.array_equal(self.indices, other.indices)
            if same:
                return SparseArray(self.indices, self.values + other.values, self.shape)
            indices = np.concatenate([self.indices, other.indices])
            return SparseArray(indices, np.concatenate([self.values, other.values]), self.shape)
        return np.asarray(self) + other

    __radd__ = __add__

    def __array__(self, dtype=None, copy=None):
        dense = segment_sum(self.values, self.indices, self.shape[0])
        return dense if dtype is None else dense.astype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return getattr(ufunc, method)(*(np.asarray(x) if type(x) is SparseArray else x for x in inputs), **options)
