"""Pooling in one, two and three dimensions, on arrays (N, C, *space): one number for every window.

A window has a few *taps*, one per element of the kernel.  Instead of gathering windows, each tap is taken for all
windows at once, as a strided slice of the padded image, and the slices are combined elementwise: a 2×2 pool is four
slices and three `maximum` calls, whatever the image.  Gradients go the same way back.  Where all windows together
have few taps, these calls cost more than the work, and the taps are looked up in a table (`wengert.kernels.taps`).

The position of a maximum is its flat index in the unpadded plane of one image and channel; backward and
unpooling scatter by it.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from wengert.kernels.choices import offered
from wengert.kernels.convolution import laid_out_like, output_size
from wengert.kernels.indexing import along
from wengert.kernels.taps import FEW, adaptive_bounds, adaptive_table, adaptive_taps, window_table


def pooled_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False) -> int:
    """Number of windows along one axis; in ceil mode a last partial window counts if it starts inside image or left
    padding."""
    if not ceil_mode:
        return output_size(size, kernel, stride, padding, dilation)
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = -(-span // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


# Maximum


def max_pool(x, kernel, stride, padding, dilation, out_space):
    """The greatest element of each window, NaN if the window holds one: (N, C, *space) → (N, C, *out_space)."""
    if 4 * taps_of(x, out_space, kernel) <= FEW:
        found = looked_up_maxima(x, window_table(x.shape[2:], kernel, stride, padding, dilation, out_space), out_space)
        if found is not None:
            return found[0]
    image = _pad_for_windows(x, kernel, stride, padding, dilation, out_space, lowest(x.dtype))
    best = None
    for tap in np.ndindex(*kernel):
        seen = image[(..., *_tap_slices(tap, out_space, stride, dilation))]
        best = seen.copy() if best is None else np.maximum(best, seen, out=best)
    return laid_out_like(best, x)


def max_pool_with_indices(x, kernel, stride, padding, dilation, out_space):
    """The greatest element of each window and its flat position in the plane (int64).

    Of equal maxima the first counts; of several NaN the last, as PyTorch has it.
    """
    work = taps_of(x, out_space, kernel)
    fast = offered("pooling.max_pool_with_indices", work, x, kernel, stride, padding, dilation, out_space)
    if fast is not None:
        return fast
    if work <= FEW:
        found = looked_up_maxima(x, window_table(x.shape[2:], kernel, stride, padding, dilation, out_space), out_space)
        if found is not None:
            return found
    image = _pad_for_windows(x, kernel, stride, padding, dilation, out_space, lowest(x.dtype))
    small = np.uint8 if prod(kernel) <= 256 else np.int64
    best = which = None
    for number, tap in enumerate(np.ndindex(*kernel)):
        seen = image[(..., *_tap_slices(tap, out_space, stride, dilation))]
        if best is None:
            best, which = seen.copy(), np.zeros(seen.shape, small)
            continue
        # A later winner has the greater number, so the greatest number of all winners is the last winner's.
        better = (seen > best).view(np.uint8)
        np.maximum(which, better * small(number), out=which)
        np.maximum(best, seen, out=best)
    if best.dtype.kind not in "biu" and np.isnan(best).any():
        _correct_for_nan(image, which, kernel, stride, dilation, out_space)
    if any(padding):
        lost = best == lowest(x.dtype)  # nothing was greater than what padding holds: the first element counts
        if lost.any():
            which = np.where(lost, _first_taps(kernel, stride, padding, dilation, out_space), which)
    positions = _flat_positions(which, x.shape[2:], kernel, stride, padding, dilation, out_space)
    if any(padding) and max(dilation) > 1:  # a window whose taps all fall on padding has its maximum, -inf, nowhere
        np.clip(positions, 0, prod(x.shape[2:]) - 1, out=positions)
    return laid_out_like(best, x), laid_out_like(positions, x)


def max_pool_backward(g, indices, space):
    """Send each window's cotangent to where its maximum was; windows may share it."""
    fast = offered("pooling.max_pool_backward", g.size, g, indices, space)
    if fast is not None:
        return fast
    n, c = g.shape[:2]
    size = prod(space)
    out = np.zeros(n * c * size, _accumulator(g.dtype))
    np.add.at(out, _absolute(indices, size), g.ravel().astype(out.dtype, copy=False))
    return laid_out_like(out.reshape(n, c, *space).astype(g.dtype, copy=False), g)


def gather_windows(x, indices):
    """Read a plane at the positions of its maxima: the transpose of `max_pool_backward`."""
    return x.ravel()[_absolute(indices, prod(x.shape[2:]))].reshape(indices.shape)


def max_unpool(x, indices, space):
    """Put pooled values back where they came from; the last of several writes to one place stays."""
    out = np.zeros(prod(x.shape[:2]) * prod(space), x.dtype)
    out[_absolute(indices, prod(space))] = x.ravel()
    return laid_out_like(out.reshape(*x.shape[:2], *space), x)


# Sums and averages


def sum_pool(x, kernel, stride, padding, out_space):
    """The sum of each window, padding counting as zero; one axis after the other, since a box is a product of lines."""
    ones = (1,) * len(kernel)
    if 0 < taps_of(x, out_space, kernel) <= FEW:
        return looked_up_sums(x, window_table(x.shape[2:], kernel, stride, padding, ones, out_space), out_space)
    image = _pad_for_windows(x, kernel, stride, padding, ones, out_space, 0)
    for axis, (length, step, count) in enumerate(zip(kernel, stride, out_space)):
        at = 2 + axis
        total = None
        for tap in range(length):
            seen = image[(slice(None),) * at + (slice(tap, tap + (count - 1) * step + 1, step),)]
            if total is None:
                total = seen if length == 1 else seen.copy()
            else:
                total += seen
        image = total
    return laid_out_like(np.array(image) if image is x or image.base is not None else image, x)


def sum_pool_backward(g, space, kernel, stride, padding):
    """Give every element the sum of the cotangents of the windows that contain it."""
    arrived, out_space = g, g.shape[2:]
    for axis in reversed(range(len(kernel))):
        length, step, count = kernel[axis], stride[axis], out_space[axis]
        at = 2 + axis
        extent = max(space[axis] + 2 * padding[axis], (count - 1) * step + length)
        spread = np.zeros((*g.shape[:at], extent, *g.shape[at + 1 :]), g.dtype)
        for tap in range(length):
            spread[(slice(None),) * at + (slice(tap, tap + (count - 1) * step + 1, step),)] += g
        g = spread
    kept = g[(..., *[slice(p, p + size) for size, p in zip(space, padding)])]
    return laid_out_like(np.ascontiguousarray(kept), arrived)


@lru_cache(maxsize=128)
def window_counts(space, kernel, stride, padding, out_space, count_include_pad):
    """How many elements each window averages over: an array that broadcasts over (*out_space).

    Padding counts if asked for; what a window of ceil mode reaches beyond the padding never does.
    """
    counts = np.ones((1,) * len(space), np.int64)
    for axis, (size, length, step, pad, count) in enumerate(zip(space, kernel, stride, padding, out_space)):
        start = np.arange(count) * step - pad
        end = np.minimum(start + length, size + pad)
        if not count_include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, size)
        counts = counts * (end - start).reshape([-1 if a == axis else 1 for a in range(len(space))])
    return counts


# Adaptive pools: the number of windows is given, their borders follow


def adaptive_sum(x, out_space):
    """Sum of each adaptive window: (N, C, *space) → (N, C, *out_space)."""
    if prod(out_space) == 1:
        return np.add.reduce(x, tuple(range(2, x.ndim)), keepdims=True)
    if 0 < x.size <= FEW:
        return looked_up_sums(x, adaptive_table(x.shape[2:], out_space), out_space)
    if len(out_space) > 1 and out_space[-1] > 2:  # else rows are long sums
        fast = offered("resampling.resample", x.size, x, adaptive_taps(x.shape[2:], out_space))
        if fast is not None:
            return fast
    for axis, count in enumerate(out_space):
        x = _sum_between(x, 2 + axis, *adaptive_bounds(x.shape[2 + axis], count))
    return x


@lru_cache(maxsize=256)
def adaptive_counts(space, out_space):
    """Number of elements of each adaptive window, broadcasting over (*out_space)."""
    counts = np.ones((1,) * len(space), np.int64)
    for axis, (size, count) in enumerate(zip(space, out_space)):
        start, end = adaptive_bounds(size, count)
        counts = counts * (end - start).reshape([-1 if a == axis else 1 for a in range(len(space))])
    return counts


def adaptive_sum_backward(g, space):
    """The transpose of `adaptive_sum`."""
    work = max(g.size, prod((*g.shape[:2], *space)))
    fast = offered("resampling.resample_transpose", work, g, adaptive_taps(space, g.shape[2:]), space)
    if fast is not None:
        return fast
    for axis, size in enumerate(space):
        at = 2 + axis
        out = np.zeros((*g.shape[:at], size, *g.shape[at + 1 :]), g.dtype)
        for i, (start, end) in enumerate(zip(*adaptive_bounds(size, g.shape[at]))):
            out[(slice(None),) * at + (slice(start, end),)] += g[(slice(None),) * at + (slice(i, i + 1),)]
        g = out
    return g


def adaptive_max_with_indices(x, out_space):
    """Greatest element of each adaptive window and its flat position in the plane."""
    space = x.shape[2:]
    if x.size <= 4 * FEW:
        found = looked_up_maxima(x, adaptive_table(space, out_space), out_space)
        if found is not None:
            return found
    bounds = [adaptive_bounds(size, count) for size, count in zip(space, out_space)]
    best = np.empty((*x.shape[:2], *out_space), x.dtype)
    where = np.empty(best.shape, np.int64)
    plane = np.arange(prod(space)).reshape(space)
    for at in np.ndindex(*out_space):
        box = tuple(slice(start[i], end[i]) for (start, end), i in zip(bounds, at))
        best[(..., *at)], where[(..., *at)] = _box_maximum(x[(..., *box)], plane[box])
    return laid_out_like(best, x), laid_out_like(where, x)


# Fractional pools: the borders are drawn at random


def fractional_starts(samples, size, count, kernel):
    """Start of each pseudo-random window (Graham, "Fractional max-pooling", 2014): samples (...,) → (..., count)."""
    last = size - kernel
    if count < 2:
        return np.full((*samples.shape, count), last)
    alpha = samples.dtype.type(last) / samples.dtype.type(count - 1)
    index = np.arange(count, dtype=samples.dtype)
    starts = ((index + samples[..., None]) * alpha).astype(np.int64) - (samples[..., None] * alpha).astype(np.int64)
    starts[..., -1] = last
    return starts


def fractional_max_with_indices(x, starts, kernel):
    """Greatest element of windows whose starts, one array (N, C, count) per axis, differ for each plane."""
    axes = len(kernel)
    n, c, *space = x.shape
    position = np.zeros((n, c) + (1,) * (2 * axes), np.int64)
    for axis, (start, length, size) in enumerate(zip(starts, kernel, space)):
        reached = start[..., None] + np.arange(length)
        shape = [n, c] + [1] * (2 * axes)
        shape[2 + axis], shape[2 + axes + axis] = start.shape[-1], length
        position = position * size + reached.reshape(shape)
    position = position.reshape(*position.shape[: 2 + axes], prod(kernel))
    values = gather_windows(x, position)
    best = _first_maximum(values)
    take = lambda a: along(a, best[..., None], -1)[..., 0]
    return take(values), take(position)


# Few taps: looked up in a table

def taps_of(x, out_space, kernel):
    """How many taps all windows have together."""
    return x.shape[0] * x.shape[1] * prod(out_space) * prod(kernel)


def looked_up_maxima(x, table, out_space):
    """(greatest element of each window, its position); None where the table doesn't help: NaN, 16 bits."""
    shape, dtype = (*x.shape[:2], *out_space), x.dtype
    if table.maxima is None or dtype.kind not in "fiu" or dtype.itemsize == 2 or not x.size:
        return None
    seen = x.reshape(shape[0] * shape[1], -1).take(table.maxima, 1)
    best = seen.argmax(-1)
    positions = best + table.rows
    values = seen.reshape(-1).take(best.reshape(-1) + np.arange(0, seen.size, seen.shape[-1]))
    if dtype.kind == "f" and np.isnan(values.dot(values)):  # a sum of squares is NaN if one of them is
        return None
    positions = table.maxima.reshape(-1).take(positions)
    return laid_out_like(values.reshape(shape), x), laid_out_like(positions.reshape(shape), x)


def looked_up_sums(x, table, out_space):
    """The sum of each window."""
    planes = x.reshape(x.shape[0] * x.shape[1], -1)
    if table.outside:
        planes = np.concatenate([planes, np.zeros((len(planes), 1), x.dtype)], 1)
    taps = table.sums.shape[1]
    totals = planes.take(table.sums, 1).reshape(-1, taps).dot(_ones(taps, x.dtype))
    return laid_out_like(totals.reshape(*x.shape[:2], *out_space), x)


@lru_cache(maxsize=64)
def _ones(count, dtype):
    return np.ones(count, dtype)


# Windows and taps


def lowest(dtype):
    """What padding counts as when the maximum is sought."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return False if dtype.kind == "b" else -np.inf


def _tap_slices(tap, out_space, stride, dilation):
    return [slice(t * d, t * d + (m - 1) * s + 1, s) for t, m, s, d in zip(tap, out_space, stride, dilation)]


def _pad_for_windows(x, kernel, stride, padding, dilation, out_space, value):
    """`x` itself if all windows lie inside, else a copy with `value` around, wide enough for ceil mode's last
    windows too."""
    space = x.shape[2:]
    reach = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(out_space, stride, dilation, kernel)]
    if not any(padding) and all(r <= size for r, size in zip(reach, space)):
        return x
    extent = [max(r, size + p) for r, size, p in zip(reach, space, padding)]
    image = np.full((*x.shape[:2], *extent), value, x.dtype)
    image[(..., *[slice(p, p + size) for size, p in zip(space, padding)])] = x
    return image


def _correct_for_nan(image, which, kernel, stride, dilation, out_space):
    for number, tap in enumerate(np.ndindex(*kernel)):
        seen = image[(..., *_tap_slices(tap, out_space, stride, dilation))]
        which[np.isnan(seen)] = number


def _first_taps(kernel, stride, padding, dilation, out_space):
    """The number of the first tap of each window that is not on the padding before the image."""
    number = np.zeros(out_space, np.int64)
    for axis, count in enumerate(out_space):
        start = np.arange(count) * stride[axis] - padding[axis]
        first = np.minimum(np.maximum(-(start // dilation[axis]), 0), kernel[axis] - 1)
        number = number * kernel[axis] + first.reshape([-1 if a == axis else 1 for a in range(len(out_space))])
    return number


def _flat_positions(which, space, kernel, stride, padding, dilation, out_space):
    """Turn the number of the winning tap into a flat position in the unpadded plane."""
    tap_offsets, window_starts = _starts(space, kernel, stride, padding, dilation, out_space)
    positions = tap_offsets.take(which)
    positions += window_starts
    return positions


@lru_cache(maxsize=64)
def _starts(space, kernel, stride, padding, dilation, out_space):
    """How far each tap lies from the first of its window, and the first taps of the windows from that of the plane."""
    tap_offsets = np.zeros(kernel, np.int64)
    window_starts = np.zeros(out_space, np.int64)
    weight = prod(space)
    for axis, size in enumerate(space):
        weight //= max(size, 1)
        shape = [-1 if a == axis else 1 for a in range(len(space))]
        tap_offsets += (np.arange(kernel[axis]) * dilation[axis] * weight).reshape(shape)
        window_starts += ((np.arange(out_space[axis]) * stride[axis] - padding[axis]) * weight).reshape(shape)
    return tap_offsets.ravel(), window_starts


def _absolute(indices, plane_size):
    """Positions in planes as positions in the flattened stack of all planes."""
    planes = prod(indices.shape[:2])
    starts = np.arange(0, planes * plane_size, plane_size)[:, None] if plane_size else 0
    flat = indices.reshape(planes, prod(indices.shape[2:])) + starts
    return flat.ravel()


def _accumulator(dtype):
    """Sums of 16-bit numbers are formed in 32 bits."""
    return np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind in "fV" else dtype


def _sum_between(x, axis, start, end):
    if x.shape[axis] % len(start) == 0:  # windows tile the axis
        shape = (*x.shape[:axis], len(start), x.shape[axis] // len(start), *x.shape[axis + 1 :])
        return np.add.reduce(x.reshape(shape), axis + 1)
    parts = [
        np.add.reduce(x[(slice(None),) * axis + (slice(a, b),)], axis, keepdims=True) for a, b in zip(start, end)
    ]
    return np.concatenate(parts, axis)


def _first_maximum(values):
    """Index of the maximum along the last axis: the first of equals, the last NaN."""
    best = values.argmax(-1)
    if values.dtype.kind not in "biu":
        nan = np.isnan(values)
        if nan.any():
            last = values.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
            best = np.where(nan.any(-1), last, best)
    return best


def _box_maximum(box, plane):
    flat = box.reshape(*box.shape[:2], plane.size)
    best = _first_maximum(flat)
    return along(flat, best[..., None], -1)[..., 0], plane.ravel()[best]
