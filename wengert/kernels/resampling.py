"""Linear maps along the axes of an image that read few elements each: resampling and the paddings that repeat elements.

Along one axis such a map is a handful of *taps*: for every output position an input position and a weight, so that
``out[i] = sum over taps of weight[tap, i] * x[index[tap, i]]``.  A two-dimensional resize is one such map for each
axis, one after the other.  The transpose, which carries gradients, adds up what reads the same element.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from wengert.kernels.choices import offered
from wengert.kernels.convolution import empty, suggests_channels_last
from wengert.kernels.copies import fill, fill_with


def gather(x, axis, index, weight=None):
    """Apply taps along `axis`: index (taps, count) and weight (taps, count), None meaning ones."""
    total = None
    for tap in range(len(index)):
        seen = x.take(index[tap], axis)
        if weight is not None:
            seen *= _along(weight[tap], axis, x.ndim)
        if total is None:
            total = seen
        else:
            total += seen
    return total


def scatter(g, axis, size, index, weight=None):
    """The transpose of `gather`: (.., count, ..) → (.., size, ..)."""
    out = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    before = (slice(None),) * axis
    for tap in range(len(index)):
        share = g if weight is None else g * _along(weight[tap], axis, g.ndim)
        order = np.argsort(index[tap], kind="stable")
        places, starts = np.unique(index[tap][order], return_index=True)
        if len(order) > 1 and (order[1:] < order[:-1]).any():
            share = share.take(order, axis)
        out[(*before, places)] += np.add.reduceat(share, starts, axis)
    return out


def resample(x, taps):
    """Apply one (index, weight) pair per axis of space, the first axis being 2; None leaves an axis alone."""
    fast = offered("resampling.resample", x.size, x, taps)
    if fast is not None:
        return fast
    for axis, pair in enumerate(taps, 2):
        if pair is not None:
            x = gather(x, axis, *pair)
    return x


def resample_transpose(g, taps, space):
    """The transpose of `resample`; `space` is the extent of the image that was resampled."""
    work = max(g.size, prod((*g.shape[:2], *space)))
    fast = offered("resampling.resample_transpose", work, g, taps, space)
    if fast is not None:
        return fast
    for axis, pair in reversed(list(enumerate(taps, 2))):
        if pair is not None:
            g = scatter(g, axis, space[axis - 2], *pair)
    return g


# Taps of the resizing filters


@lru_cache(maxsize=128)
def resize_taps(mode, size, count, align_corners, scale, antialias, dtype):
    """Taps that resize an axis from `size` to `count` elements.

    Args:
        mode: "nearest", "nearest-exact", "linear" or "cubic".
        scale: the factor asked for, or None to use count / size.
        dtype: the floating type that positions and weights are computed in.
    """
    if mode.startswith("nearest"):
        step = np.float32(1 / scale if scale else np.float32(size) / np.float32(count))
        if size == count and not scale:
            return None
        offset = np.float32(0.5 if mode == "nearest-exact" else 0)
        position = (np.arange(count, dtype=np.float32) + offset) * step
        return np.minimum(position.astype(np.int64), size - 1)[None], None
    if size == count and (antialias or mode == "linear"):  # whatever the factor was
        return None
    step = _step(size, count, align_corners, scale)
    if antialias:
        return _antialias_taps(mode, size, count, step, dtype)
    place = np.arange(count, dtype=dtype)
    source = place * dtype(step) if align_corners else (place + dtype(0.5)) * dtype(step) - dtype(0.5)
    if mode == "linear":
        source = np.maximum(source, 0)
        low = np.minimum(source.astype(np.int64), size - 1)
        fraction = np.clip(source - low, 0, 1).astype(dtype)
        return np.stack([low, np.minimum(low + 1, size - 1)]), np.stack([1 - fraction, fraction])
    low = np.floor(source).astype(np.int64)
    fraction = (source - low).astype(dtype)
    offsets = np.arange(-1, 3)
    index = np.clip(low + offsets[:, None], 0, size - 1)
    return index, _cubic(np.abs(fraction - offsets[:, None]), -0.75).astype(dtype)


def _step(size, count, align_corners, scale):
    if align_corners:
        return (size - 1) / (count - 1) if count > 1 else 0.0
    return 1 / scale if scale else size / count


def _antialias_taps(mode, size, count, step, dtype):
    """When shrinking, the filter is widened to cover all input that falls on one output (as image libraries do)."""
    widen = max(step, 1.0)
    reach = (1 if mode == "linear" else 2) * widen
    centre = step * (np.arange(count) + 0.5)
    start = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + reach + 0.5).astype(np.int64), size)
    taps = np.arange((stop - start).max())[:, None]
    index = start + taps
    distance = np.abs((index - centre + 0.5) / widen)
    weight = np.maximum(1 - distance, 0) if mode == "linear" else _cubic(distance, -0.5)
    weight = np.where(index < stop, weight, 0)
    weight = weight / weight.sum(0)
    return np.minimum(index, size - 1), weight.astype(dtype)


def _cubic(distance, a):
    """The cubic convolution kernel (Keys, 1981) with parameter `a`."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


# Taps of the paddings that repeat elements; negative padding crops


def padding_taps(mode, size, before, after):
    """The input position that each position of the padded axis shows."""
    if mode == "circular":  # negative padding crops first, and what remains is a circle
        start, stop = max(-before, 0), size - max(-after, 0)
        length = stop - start
        return (np.arange(-max(before, 0), length + max(after, 0)) % length + start)[None], None
    place = np.arange(-before, size + after)
    if mode == "replicate":
        place = np.clip(place, 0, size - 1)
    else:  # reflect: the border element is not repeated
        place = np.abs(place)
        place = np.where(place >= size, 2 * (size - 1) - place, place)
    return place[None], None


def pad_constant(x, pads, value):
    """Surround `x` with `value`; pads: a (before, after) pair for each axis, negative ones crop."""
    shape = tuple(size + before + after for size, (before, after) in zip(x.shape, pads))
    out = empty(shape, x.dtype, suggests_channels_last(x))
    fill_with(out, value)
    inner = tuple(slice(max(before, 0), size - max(after, 0)) for size, (before, after) in zip(shape, pads))
    kept = tuple(slice(max(-before, 0), size - max(-after, 0)) for size, (before, after) in zip(x.shape, pads))
    fill(out[inner], x[kept])
    return out


def _along(values, axis, ndim):
    return values.reshape([-1 if a == axis else 1 for a in range(ndim)])
