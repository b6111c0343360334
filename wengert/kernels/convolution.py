"""Convolution in one, two and three dimensions, on arrays: three linear maps of one trilinear form.

Cross-correlation pairs an input ``x`` (N, C, *space), a weight ``w`` (O, C/groups, *kernel) and a cotangent ``g``
(N, O, *out)::

    T(g, x, w) = sum over n, o, c, out, kernel of  g[n, o, out] * w[o, c, kernel] * x[n, c, out*stride +
    kernel*dilation - padding]

Holding two of the three fixed and reading off the third gives everything there is to compute: the convolution itself
(`correlate`), its gradient to the data, which is also the transposed convolution (`correlate_data`), and its
gradient to the weight (`correlate_weight`).  Because the form is linear in each argument, the derivatives of these
three are the same three again, so that derivatives of any order need no further kernel.

Each map is a large matrix product over *columns*: copies of all windows laid side by side (im2col).  The copies are
made from strided views for as many images at a time as fit the processor's second-level cache, and never outlive the
call. Two layouts of the columns are used, whichever has the longer contiguous runs to copy:

* ``planes``: (channel, kernel) × position, runs along the last axis of the image; for few channels and for 1×1 kernels,
  where the "copy" is a view of the image itself, and for one channel per group;
* ``rows``: position × (kernel, channel), runs along channels of an image transposed to channels-last; for everything
else.
"""

from __future__ import annotations

from math import prod

import numpy as np

from wengert.kernels.choices import offered
from wengert.kernels.matmul import times
from wengert.kernels.taps import FEW, column_table

# Columns of one block of images stay below this many bytes: within the second-level cache, measured best from 0.5 to
# 2 MB.
BLOCK_BYTES = 1 << 20


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Number of window positions along one axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def transposed_output_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, output_padding: int
) -> int:
    """Length of one axis of a transposed convolution's result."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def correlate(x, w, bias=None, *, stride, padding, dilation, groups=1, out_space=None):
    """Convolution as networks use the word: windows of `x` against `w`.

    Args:
        x: (N, C, *space).
        w: (O, C/groups, *kernel), of the same dtype.
        bias: (O,) or None.
        stride, padding, dilation: one int per axis of space.
        groups: number of independent groups of channels.
        out_space: take only so many windows along each axis (all that fit unless given).

    Returns:
        (N, O, *out), contiguous, or channels-last in memory if `x` is.
    """
    kernel = w.shape[2:]
    if out_space is None:
        out_space = tuple(map(output_size, x.shape[2:], kernel, stride, padding, dilation))
    work = len(x) * prod(out_space) * w.size
    fast = offered("convolution.correlate", work, x, w, bias, stride, padding, dilation, groups, out_space)
    if fast is not None:
        return fast
    if _is_half(x.dtype):
        wide = None if bias is None else bias.astype(np.float32)
        out = correlate(
            x.astype(np.float32),
            w.astype(np.float32),
            wide,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            out_space=out_space,
        )
        return out.astype(x.dtype)
    n, o = x.shape[0], w.shape[0]
    channels_last = suggests_channels_last(x) or suggests_channels_last(w)
    if groups == 1 and 0 < work <= o * FEW and not channels_last:
        return _correlate_few(x, w, bias, stride, padding, dilation, tuple(out_space))
    out = _empty(n, o, out_space, x.dtype, channels_last)
    if not out.size:
        return out
    planes = _prefer_planes(w.shape[1], kernel, stride, padding, out_space)
    windows = _windows(x, planes, kernel, out_space, stride, padding, dilation, groups)
    matrix = _weight_matrix(w, planes, groups)
    grouped = _group_matrix(out, groups)  # (groups, N, O/groups, positions)
    shift = None if bias is None else bias.reshape(groups, 1, -1, 1)
    for block, columns in _blocks(windows, planes, n):
        part = grouped[:, block]
        times(matrix[:, None], columns, out=part)
        if shift is not None:
            part += shift
    return out


def _correlate_few(x, w, bias, stride, padding, dilation, out_space):
    """`correlate` where all windows together have few taps: these looked up in a table."""
    n, o = x.shape[0], w.shape[0]
    table, outside = column_table(x.shape[1], x.shape[2:], w.shape[2:], stride, padding, dilation, out_space)
    images = x.reshape(n, -1)
    if outside:
        images = np.concatenate([images, np.zeros((n, 1), x.dtype)], 1)
    out = np.matmul(w.reshape(o, -1), images.take(table, 1))
    if bias is not None:
        out += bias[:, None]
    return out.reshape(n, o, *out_space)


def correlate_data(g, w, space, *, stride, padding, dilation, groups=1):
    """The cotangent of the data: every window of the result receives its share of `g`, overlaps added.

    Args:
        g: (N, O, *out).
        w: (O, C/groups, *kernel).
        space: the data's extent; what no window covers (a transposed convolution's output padding) is zero.

    Returns:
        (N, C, *space).
    """
    work = len(g) * prod(g.shape[2:]) * w.size
    fast = offered("convolution.correlate_data", work, g, w, tuple(space), stride, padding, dilation, groups)
    if fast is not None:
        return fast
    if _is_half(g.dtype):
        out = correlate_data(
            g.astype(np.float32),
            w.astype(np.float32),
            space,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        return out.astype(g.dtype)
    n, o, *out_space = g.shape
    per_group, kernel = w.shape[1], w.shape[2:]
    c = per_group * groups
    if not (n and o and c and prod(out_space)):
        return np.zeros((n, c, *space), g.dtype)
    mirrored = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding))
    if (
        max(stride) == 1
        and min(mirrored) >= 0
        and (o <= 2 * c or prod(kernel) == 1)  # mirroring copies O channels, scattering adds C: they meet near here
        and all(
            map(lambda size, *rest: output_size(*rest) == size, space, out_space, kernel, stride, mirrored, dilation)
        )
    ):
        return correlate(g, _mirror(w, groups), stride=stride, padding=mirrored, dilation=dilation, groups=groups)
    return _scatter(g, w, tuple(space), stride, padding, dilation, groups)


def correlate_weight(g, x, kernel, *, stride, padding, dilation, groups=1):
    """The cotangent of the weight: each kernel tap correlates `g` with the data that the tap saw.

    Args:
        g: (N, O, *out).
        x: (N, C, *space).
        kernel: the kernel's extent.

    Returns:
        (O, C/groups, *kernel).
    """
    work = g.size * (x.shape[1] // groups) * prod(kernel)
    fast = offered("convolution.correlate_weight", work, g, x, tuple(kernel), stride, padding, dilation, groups)
    if fast is not None:
        return fast
    if _is_half(g.dtype):
        out = correlate_weight(
            g.astype(np.float32),
            x.astype(np.float32),
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        return out.astype(g.dtype)
    n, o, *out_space = g.shape
    per_group = x.shape[1] // groups
    if not (g.size and x.size):
        return np.zeros((o, per_group, *kernel), g.dtype)
    planes = _prefer_planes(per_group, kernel, stride, padding, out_space)
    windows = _windows(x, planes, kernel, out_space, stride, padding, dilation, groups)
    grouped = _group_matrix(g, groups)
    total = None
    for block, columns in _blocks(windows, planes, n):
        part = _product_over_images(grouped[:, block], columns, planes)
        if total is None:
            total = part
        else:
            total += part
    if planes:
        return total.reshape(o, per_group, *kernel)
    axes = len(kernel)
    return total.reshape(o, *kernel, per_group).transpose(0, axes + 1, *range(1, axes + 1))


# Layouts: how images, windows and weights become matrices


def _prefer_planes(channels, kernel, stride, padding, out_space):
    """Whether windows are copied in longer runs along the image's last axis than along its channels."""
    if prod(kernel) == 1 and max(stride) == 1 and not any(padding):
        return True
    return stride[-1] == 1 and channels * kernel[-1] < out_space[-1]


def _windows(x, planes, kernel, out_space, stride, padding, dilation, groups):
    """A strided view of all windows: (groups, N, C/groups, *kernel, *out) or (groups, N, *out, *kernel, C/groups)."""
    n, c, *space = x.shape
    per_group = c // groups
    padded = [size + 2 * p for size, p in zip(space, padding)]
    image = _planes(x, padded, padding) if planes else _rows(x, padded, padding)
    steps = image.strides
    along_space = steps[2:] if planes else steps[1:-1]
    along_channel = steps[1] if planes else steps[-1]
    kernel_steps = [s * d for s, d in zip(along_space, dilation)]
    out_steps = [s * t for s, t in zip(along_space, stride)]
    outer, outer_steps = (groups, n), (along_channel * per_group, steps[0])
    if planes:
        shape = (*outer, per_group, *kernel, *out_space)
        strides = (*outer_steps, along_channel, *kernel_steps, *out_steps)
    else:
        shape = (*outer, *out_space, *kernel, per_group)
        strides = (*outer_steps, *out_steps, *kernel_steps, along_channel)
    return np.ndarray(shape, image.dtype, image, 0, strides)


def _planes(x, padded, padding):
    if not any(padding):
        return np.ascontiguousarray(x)
    image = np.zeros((*x.shape[:2], *padded), x.dtype)
    image[(..., *_interior(x.shape[2:], padding))] = x
    return image


def _rows(x, padded, padding):
    """The padded image with channels last: transposed and padded in one copy."""
    channels_last = x.transpose(0, *range(2, x.ndim), 1)
    if not any(padding):
        return np.ascontiguousarray(channels_last)
    image = np.zeros((x.shape[0], *padded, x.shape[1]), x.dtype)
    image[(slice(None), *_interior(x.shape[2:], padding))] = channels_last
    return image


def _interior(space, padding):
    return [slice(p, p + size) for size, p in zip(space, padding)]


def _weight_matrix(w, planes, groups):
    """(groups, O/groups, C/groups × kernel), or with the kernel before the channels for rows."""
    if not planes:
        w = w.transpose(0, *range(2, w.ndim), 1)
    return w.reshape(groups, w.shape[0] // groups, -1)


def _group_matrix(out, groups):
    """A view (groups, N, channels/groups, positions) of an array (N, channels, *space)."""
    n, channels, *space = out.shape
    return out.reshape(n, groups, channels // groups, prod(space)).transpose(1, 0, 2, 3)


def _blocks(windows, planes, n):
    """Yield (slice of images, their columns (groups, images, taps, positions)), few enough images at a time to stay
    in cache."""
    axes = (windows.ndim - 3) // 2
    split = 3 + axes if planes else 2 + axes
    rows, cols = prod(windows.shape[2:split]), prod(windows.shape[split:])
    if prod(windows.shape[3:split]) == 1 and planes and windows.strides[-1] == windows.itemsize:
        whole = windows.reshape(*windows.shape[:2], rows, cols)
        if whole.base is not None:  # a 1×1 kernel: the columns are the image itself
            yield slice(None), whole
            return
    size = max(1, BLOCK_BYTES // max(1, windows.itemsize * windows.shape[0] * rows * cols))
    if size >= n:
        columns = windows.reshape(*windows.shape[:2], rows, cols)
        yield slice(None), columns if planes else columns.swapaxes(2, 3)
        return
    buffer = np.empty((windows.shape[0], size, *windows.shape[2:]), windows.dtype)
    for start in range(0, n, size):
        block = windows[:, start : start + size]
        copy = buffer[:, : block.shape[1]]
        np.copyto(copy, block)
        columns = copy.reshape(*copy.shape[:2], rows, cols)
        yield slice(start, start + size), columns if planes else columns.swapaxes(2, 3)


def _product_over_images(g, columns, planes):
    """Sum over images and positions of g (groups, n, O, positions) × columns (groups, n, taps, positions)."""
    groups, n, o, positions = g.shape
    if planes and positions >= o:  # cheaper to add up n products than to lay the positions of all images side by side
        return times(g, columns.swapaxes(2, 3)).sum(1)
    flat = columns.swapaxes(2, 3).reshape(groups, n * positions, -1)
    return times(g.swapaxes(1, 2).reshape(groups, o, n * positions), flat)


def _mirror(w, groups):
    """The weight of the convolution that carries cotangents back: reversed in space, channels in and out exchanged."""
    o, c, *kernel = w.shape
    w = w[(slice(None), slice(None), *[slice(None, None, -1)] * len(kernel))]
    w = w.reshape(groups, o // groups, c, *kernel).swapaxes(1, 2)
    return w.reshape(groups * c, o // groups, *kernel)


def _scatter(g, w, space, stride, padding, dilation, groups):
    """Matrix product first, then one strided sum per kernel tap (col2im)."""
    n, o, *out_space = g.shape
    per_group, kernel = w.shape[1], w.shape[2:]
    axes, c = len(kernel), per_group * groups
    covered = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(out_space, stride, dilation, kernel)]
    padded = [max(size + 2 * p, reach) for size, p, reach in zip(space, padding, covered)]
    spatial = tuple(range(axes))
    taps = w.reshape(groups, o // groups, per_group, *kernel)
    planes = per_group < out_space[-1]
    if planes:
        total = np.zeros((n, groups, per_group, *padded), g.dtype)
        taps = taps.transpose(0, *(3 + a for a in spatial), 2, 1)  # groups, kernel, C, O
    else:
        total = np.zeros((n, *padded, groups, per_group), g.dtype).transpose(
            0, 1 + axes, *(1 + a for a in spatial), 2 + axes
        )
        taps = taps.transpose(0, 1, *(3 + a for a in spatial), 2)  # groups, O, kernel, C
    grouped = g.reshape(n, groups, o // groups, -1)
    matrix = taps.reshape(groups, -1, o // groups) if planes else taps.reshape(groups, o // groups, -1)
    size = max(1, BLOCK_BYTES // (g.itemsize * groups * per_group * prod(kernel) * prod(out_space)))
    for start in range(0, n, size):
        part = grouped[start : start + size]
        if planes:
            shares = times(matrix, part).reshape(-1, groups, *kernel, per_group, *out_space)
        else:
            shares = times(part.swapaxes(2, 3), matrix).reshape(-1, groups, *out_space, *kernel, per_group)
        block = total[start : start + size]
        for tap in np.ndindex(*kernel):
            place = _tap_slices(tap, out_space, stride, dilation)
            if planes:
                block[(..., *place)] += shares[(slice(None), slice(None), *tap)]
            else:
                block[(slice(None), slice(None), *place)] += shares[(..., *tap, slice(None))]
    if not planes:
        total = total.transpose(0, 1, 2 + axes, *(2 + a for a in spatial))
    total = total[(..., *_interior(space, padding))]
    return np.ascontiguousarray(total).reshape(n, c, *space)


def _tap_slices(tap, out_space, stride, dilation):
    """Where one kernel tap of every window lies, as one slice per axis of the padded image."""
    return [slice(t * d, t * d + (m - 1) * s + 1, s) for t, m, s, d in zip(tap, out_space, stride, dilation)]


# Memory and dtypes


def _is_half(dtype):
    return dtype.itemsize == 2 and dtype.kind in "fV"


def is_channels_last(x):
    if x.ndim < 4 or x.flags.c_contiguous or x.shape[1] == 1:
        return False
    return x.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous


def suggests_channels_last(x):
    """Whether the strides of `x` grow from the channels over the image, innermost axis first, to the batch.

    Such a tensor may be a window of one whose channels lie last. PyTorch lays a result out by its operand's strides in
    this way.
    """
    if x.ndim < 4 or x.flags.c_contiguous or not x.size or not x.strides[1]:
        return False
    least = 0
    for axis in (1, *range(x.ndim - 1, 1, -1), 0):
        if x.strides[axis] < least or (axis == 0 and least == x.strides[1]):
            return False
        least = x.strides[axis] * x.shape[axis]
    return True


def laid_out_like(out, x):
    """`out` with its channels last in memory if those of `x` are, be there gaps between its elements."""
    if not suggests_channels_last(x):
        return out
    axes = out.ndim - 2
    return np.ascontiguousarray(np.moveaxis(out, 1, -1)).transpose(0, axes + 1, *range(1, axes + 1))


def empty(shape, dtype, channels_last):
    """An unfilled image, with its channels last in memory if asked for."""
    return _empty(shape[0], shape[1], shape[2:], dtype, channels_last) if channels_last else np.empty(shape, dtype)


def _empty(n, channels, space, dtype, channels_last):
    if not channels_last:
        return np.empty((n, channels, *space), dtype)
    axes = len(space)
    return np.empty((n, *space, channels), dtype).transpose(0, axes + 1, *range(1, axes + 1))


# Columns as a result of their own


def image_to_columns(x, kernel, *, stride, padding, dilation):
    """All windows of an image as columns: (N, C, *space) → (N, C × kernel, windows)."""
    out_space = tuple(map(output_size, x.shape[2:], kernel, stride, padding, dilation))
    windows = _windows(x, True, kernel, out_space, stride, padding, dilation, 1)[0]
    return np.array(windows).reshape(x.shape[0], x.shape[1] * prod(kernel), prod(out_space))


def columns_to_image(columns, space, kernel, *, stride, padding, dilation):
    """The transpose of `image_to_columns`: overlapping windows are added up."""
    out_space = tuple(map(output_size, space, kernel, stride, padding, dilation))
    n, c = columns.shape[0], columns.shape[1] // prod(kernel)
    windows = columns.reshape(n, c, *kernel, *out_space)
    image = np.zeros((n, c, *(size + 2 * p for size, p in zip(space, padding))), columns.dtype)
    for tap in np.ndindex(*kernel):
        image[(..., *_tap_slices(tap, out_space, stride, dilation))] += windows[(slice(None), slice(None), *tap)]
    return np.ascontiguousarray(image[(..., *_interior(space, padding))])
