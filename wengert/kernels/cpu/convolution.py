"""The three maps of a convolution, fast (see `wengert.kernels.convolution` for what they are).

`Direct` takes images of few channels, `Winograd` 3×3 kernels where there are enough tiles to be worth the transformed
weight, both in single precision; `OneDNN` takes the rest. Each function computes, or returns None where it has no
kernel for the operands.
"""

from math import prod

import numpy as np

from wengert.kernels.convolution import is_channels_last, output_size, suggests_channels_last
from wengert.kernels.cpu import direct, onednn, winograd


class Direct:
    """Few taps, side by side."""

    @staticmethod
    def correlate(x, w, bias, stride, padding, dilation, groups, out_space):
        few = small(x, w.shape, stride, groups, out_space)
        if not few or not reaches(x.shape[2:], w.shape[2:], out_space, stride, padding, dilation):
            return None
        out = np.empty((len(x), len(w), *out_space), x.dtype)
        return direct.correlate(x, w, bias, stride, padding, dilation, out)

    @staticmethod
    def correlate_weight(g, x, kernel, stride, padding, dilation, groups):
        few = small(x, (g.shape[1], x.shape[1], *kernel), stride, groups, g.shape[2:]) and g.dtype == x.dtype
        if not few or not reaches(x.shape[2:], kernel, g.shape[2:], stride, padding, dilation):
            return None
        return direct.correlate_weight(g, x, kernel, stride, padding, dilation)


FEW_CHANNELS, FEW_TAPS, NARROW = 4, 80, 8  # below the last, vectors would be half empty


def small(x, w_shape, stride, groups, out_space):
    """Whether a convolution is one of few taps, with windows side by side."""
    return (
        x.ndim == 4
        and x.dtype == np.float32
        and groups == 1
        and w_shape[1] <= FEW_CHANNELS
        and prod(w_shape[1:]) <= FEW_TAPS
        and stride[1] == 1
        and out_space[1] >= NARROW
        and x.size > 0 < w_shape[0]
        and not suggests_channels_last(x)
    )


class Winograd:
    """3×3 kernels without strides, dilations and groups."""

    @staticmethod
    def correlate(x, w, bias, stride, padding, dilation, groups, out_space):
        if not (fits(x, w.shape, stride, padding, dilation, groups, out_space) and enough(len(x), w.shape, out_space)):
            return None
        out = empty((len(x), w.shape[0], *out_space), x.dtype, suggests_channels_last(x))
        return winograd.correlate(image(x, suggests_channels_last(x)), np.ascontiguousarray(w), bias, padding, out)

    @staticmethod
    def correlate_data(g, w, space, stride, padding, dilation, groups):
        mirrored = tuple(2 - p for p in padding)
        if min(mirrored) < 0 or not (
            fits(g, w.shape, stride, mirrored, dilation, groups, space) and enough(len(g), w.shape, space)
        ):
            return None
        last = suggests_channels_last(g)
        out = empty((len(g), w.shape[1], *space), g.dtype, last)
        return winograd.correlate(image(g, last), w[:, :, ::-1, ::-1].swapaxes(0, 1), None, mirrored, out)

    @staticmethod
    def correlate_weight(g, x, kernel, stride, padding, dilation, groups):
        shape, out_space = (g.shape[1], x.shape[1], *kernel), g.shape[2:]
        if not (fits(x, shape, stride, padding, dilation, groups, out_space) and enough(len(x), shape, out_space)):
            return None
        g, x = (image(y, suggests_channels_last(y)) for y in (g, x))
        return winograd.correlate_weight(g, x, padding)


def fits(x, w_shape, stride, padding, dilation, groups, out_space):
    """Whether this is a plain 3×3 convolution of single precision, with all windows."""
    return (
        x.ndim == 4
        and x.dtype == np.float32
        and tuple(w_shape[2:]) == (3, 3)
        and groups == 1
        and max(stride) == max(dilation) == 1
        and all(map(lambda size, p, out: size + 2 * p - 2 == out > 0, x.shape[2:], padding, out_space))
    )


def enough(images, w_shape, out_space):
    """Whether the tiles outnumber the channels: below that the transformed weight costs more than it saves."""
    tiles = images * -(-out_space[0] // winograd.TILE) * -(-out_space[1] // winograd.TILE)
    return tiles >= w_shape[0] + w_shape[1]


class OneDNN:
    """Whatever oneDNN has a primitive for."""

    @staticmethod
    def correlate(x, w, bias, stride, padding, dilation, groups, out_space):
        if not supported(x, w) or not reaches(x.shape[2:], w.shape[2:], out_space, stride, padding, dilation):
            return None
        last = suggests_channels_last(x)
        operands = [image(x, last), np.ascontiguousarray(w)]
        if bias is not None:
            operands.append(np.ascontiguousarray(bias))
        out = empty((len(x), w.shape[0], *out_space), x.dtype, last)
        shapes = x.shape, w.shape, out.shape
        return run(onednn.FORWARD_MAP, shapes, last, stride, padding, dilation, groups, operands, out)

    @staticmethod
    def correlate_data(g, w, space, stride, padding, dilation, groups):
        if not supported(g, w) or not reaches(space, w.shape[2:], g.shape[2:], stride, padding, dilation):
            return None
        last = suggests_channels_last(g)
        out = empty((len(g), w.shape[1] * groups, *space), g.dtype, last)
        operands = [image(g, last), np.ascontiguousarray(w)]
        shapes = out.shape, w.shape, g.shape
        return run(onednn.DATA_MAP, shapes, last, stride, padding, dilation, groups, operands, out)

    @staticmethod
    def correlate_weight(g, x, kernel, stride, padding, dilation, groups):
        if not supported(g, x) or not reaches(x.shape[2:], kernel, g.shape[2:], stride, padding, dilation):
            return None
        last = suggests_channels_last(x) or suggests_channels_last(g)
        out = np.empty((g.shape[1], x.shape[1] // groups, *kernel), g.dtype)
        operands = [image(g, last), image(x, last)]
        shapes = x.shape, out.shape, g.shape
        return run(onednn.WEIGHT_MAP, shapes, last, stride, padding, dilation, groups, operands, out)


def supported(a, b):
    return (
        a.dtype.name in onednn.DTYPES
        and a.dtype == b.dtype
        and a.ndim <= 5
        and a.size > 0 < b.size
        and onednn.absent() is None
    )


def reaches(space, kernel, out_space, stride, padding, dilation):
    """Whether the windows are all that fit (they needn't be in a derivative's derivative)."""
    return tuple(map(output_size, space, kernel, stride, padding, dilation)) == tuple(out_space)


def run(map, shapes, last, stride, padding, dilation, groups, operands, out):
    options = (tuple(stride), tuple(padding), tuple(dilation), groups)
    return onednn.convolve(map, *map_shapes(shapes), out.dtype.name, last, *options, (*operands, out))


def map_shapes(shapes):
    return tuple(tuple(int(n) for n in shape) for shape in shapes)


def image(x, last):
    """`x` as it is if its memory is laid out as wanted, else a copy that is."""
    if not last:
        return np.ascontiguousarray(x)
    return x if is_channels_last(x) else np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def empty(shape, dtype, last):
    return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1) if last else np.empty(shape, dtype)
