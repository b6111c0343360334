"""Where the taps of small windows lie.

A convolution or a pool looks at windows, and a window has a few *taps*, one per element of the kernel. Where all
windows together have few, finding them by slices costs more calls than there is work: their positions are worked out
once for each geometry, and one `take` reads them all.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

FEW = 1 << 14  # taps of all windows together up to which one lookup is quicker than a slice for each tap


class Table(NamedTuple):
    """The flat position in a plane of every tap of every window (windows, taps), and what stands for those outside.

    In `maxima` the first tap of its window that is inside: it can't win where it has not won before; None if a window
    lies outside altogether. In `sums` the position behind the last, where a zero is put if some are `outside`.
    """

    maxima: np.ndarray | None
    sums: np.ndarray
    outside: bool
    rows: np.ndarray  # the number of the first tap of each window


@lru_cache(maxsize=128)
def window_table(space, kernel, stride, padding, dilation, out_space):
    taps = [
        np.arange(count)[:, None] * s - p + np.arange(k) * d
        for k, s, p, d, count in zip(kernel, stride, padding, dilation, out_space)
    ]
    return _table(space, [(places, (places >= 0) & (places < size)) for places, size in zip(taps, space)])


@lru_cache(maxsize=128)
def adaptive_table(space, out_space):
    bounds = [adaptive_bounds(size, count) for size, count in zip(space, out_space)]
    taps = [start[:, None] + np.arange(max(end - start, default=0)) for start, end in bounds]
    return _table(space, [(places, places < end[:, None]) for places, (_, end) in zip(taps, bounds)])


def _table(space, lines):
    """From the taps along each axis, (count, taps) with whether each is inside."""
    axes = len(space)
    positions, inside = np.zeros((1,) * (2 * axes), np.int64), np.ones((1,) * (2 * axes), bool)
    for axis, (size, (places, valid)) in enumerate(zip(space, lines)):
        shape = [1] * (2 * axes)
        shape[axis], shape[axes + axis] = places.shape
        positions = positions * size + places.reshape(shape)
        inside = inside & valid.reshape(shape)
    windows = prod(positions.shape[:axes])
    positions, inside = positions.reshape(windows, -1), inside.reshape(windows, -1)
    first = np.take_along_axis(positions, inside.argmax(1)[:, None], 1)
    maxima = np.where(inside, positions, first) if inside.any(1).all() else None
    sums, outside = np.where(inside, positions, prod(space)), not inside.all()
    return Table(maxima, sums, outside, np.arange(0, positions.size, positions.shape[1]))


@lru_cache(maxsize=128)
def column_table(channels, space, kernel, stride, padding, dilation, out_space):
    """(channels × kernel, windows): positions in an image of all channels, and whether some lie outside of it, on the
    position behind its last element."""
    table, size = window_table(space, kernel, stride, padding, dilation, out_space), prod(space)
    taps = table.sums.T
    positions = taps + np.arange(0, channels * size, size)[:, None, None]
    if table.outside:
        positions[:, taps == size] = channels * size
    return positions.reshape(-1, len(table.rows)), table.outside


@lru_cache(maxsize=256)
def adaptive_bounds(size, count):
    """Start and end of each of `count` windows that together cover an axis of `size` elements."""
    index = np.arange(count)
    return index * size // count, -(-(index + 1) * size // count)


@lru_cache(maxsize=128)
def adaptive_taps(space, out_space):
    """Sums over adaptive windows as taps along each axis (see `wengert.kernels.resampling`), -1 where there is none."""
    taps = []
    for size, count in zip(space, out_space):
        start, end = adaptive_bounds(size, count)
        index = start + np.arange((end - start).max())[:, None]
        taps.append((np.where(index < end, index, -1), (index < end).astype(np.float32)))
    return taps
