"""Copies between places of any strides: NumPy's, for large arrays those of all threads."""

import numpy as np

from wengert.kernels.choices import offered, state

LARGE = 1 << 15  # elements from which it is worth asking


def fill(target, source):
    """``target[...] = source`` for arrays of one shape and dtype; returns the target."""
    if not state.active or offered("copies.fill", target.size, target, source) is None:
        target[...] = source
    return target


def fill_with(target, number):
    """``target[...] = number``."""
    if target.size < LARGE:
        target[...] = number
        return
    one = np.empty((), target.dtype)
    one[...] = number
    fill(target, np.broadcast_to(one, target.shape))


def joined(arrays, axis):
    """`np.concatenate`, its result in rows."""
    first = arrays[0]
    if state.active and first.ndim and sum(a.size for a in arrays) >= LARGE:
        axis %= first.ndim
        around = without(first, axis)
        if all(a.dtype is first.dtype and without(a, axis) == around for a in arrays):
            out = np.empty((*around[0], sum(a.shape[axis] for a in arrays), *around[1]), first.dtype)
            start = 0
            for a in arrays:
                end = start + a.shape[axis]
                fill(out[(slice(None),) * axis + (slice(start, end),)], a)
                start = end
            return out
    out = np.concatenate(arrays, axis)
    return out if out.flags.c_contiguous else np.ascontiguousarray(out)


def without(array, axis):
    """The shape before and after an axis."""
    return array.shape[:axis], array.shape[axis + 1 :]


def in_rows(array):
    """A copy whose elements lie row by row."""
    return fill(np.empty(array.shape, array.dtype), array) if array.size >= LARGE else array.copy()


def copied(array):
    """A copy whose elements lie as those of the array do."""
    return fill(np.empty_like(array), array) if array.size >= LARGE else array.copy(order="K")


def rolled(array, shift, axis):
    """The elements moved by `shift` places along an axis, those that leave it entering at its other end."""
    extent = array.shape[axis]
    shift = shift % extent if extent else 0
    if not shift:
        return in_rows(array)
    out = np.empty(array.shape, array.dtype)
    before = (slice(None),) * axis
    fill(out[(*before, slice(shift, None))], array[(*before, slice(extent - shift))])
    fill(out[(*before, slice(shift))], array[(*before, slice(extent - shift, None))])
    return out
