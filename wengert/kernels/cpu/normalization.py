"""Normalization of large arrays, in the place of `wengert.kernels.normalization`.

Where an array is standardized over its last axes (by layer), statistics and cotangents are row programs; where it is
over all but the channels (by batch) or over groups of them, they are reductions and elementwise kernels. What is none
of these goes to the reference.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels import normalization as reference
from wengert.kernels.cpu import mathematics as m
from wengert.kernels.cpu.expressions import F32, F64, cast
from wengert.kernels.cpu.pointwise import Kernel
from wengert.kernels.cpu.reductions import DEVIATIONS, SUM, Reduction
from wengert.kernels.cpu.rows import RowKernel
from wengert.kernels.cpu.streaming import lines_of_zeros


def moments_row(row, x):
    mean = row.sum(x, wide=True) / row.length
    d = x - cast(mean, x.dtype)
    row.number(mean, 0)
    row.number(row.sum(d * d, wide=True) / row.length, 1)


def standardized(x, mean, rstd, weight=None, bias=None):
    out = (x - mean) * rstd
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


@cache
def layer(scaled, shifted):
    """The kernel (x, eps, weight and bias if there are) to (result, mean, 1 / standard deviation)."""

    def program(row, x, eps, *affine):
        mean = cast(row.sum(x, wide=True) / row.length, x.dtype)
        d = x - mean
        rstd = cast(1 / m.sqrt(row.sum(d * d, wide=True) / row.length + eps), x.dtype)
        given = iter(affine)
        row.store(standardized(x, mean, rstd, next(given) if scaled else None, next(given) if shifted else None))
        row.number(mean, 1)
        row.number(rstd, 2)

    return RowKernel("layer_norm", program)


@cache
def layer_back(scaled, summed):
    """The kernel (g, x, mean, rstd, weight if there is one) to rstd (g w - mean of (g w) - x̂ mean of (g w x̂)), and if
    wanted the sums over rows of g x̂ and g.
    """

    def program(row, g, x, mean, rstd, *weight):
        along = g * weight[0] if scaled else g
        standard = standardized(x, mean, rstd)
        total, product = row.sum(along, wide=True), row.sum(along * standard, wide=True)
        row.store(rstd * (along - cast(total / row.length, x.dtype) - standard * cast(product / row.length, x.dtype)))
        if summed:
            row.add(g * standard, 1)
            row.add(g, 2)

    return RowKernel("layer_norm/input", program)


LINE = 64  # rows whose share in a sum over all rows is gathered in one line
MOMENTS = RowKernel("moments", moments_row)
PARAMETERS = Reduction(("sum", "sum"), lambda g, x, mean, rstd: (g * standardized(x, mean, rstd), g))

STANDARDIZE = Kernel("normalize", standardized)
BATCH_BACK = Kernel(
    "batch_norm/input",
    lambda g, x, mean, rstd, scale, total, product: scale * (g - total - ((x - mean) * rstd) * product),
)
GROUP_BACK = Kernel(
    "group_norm/input",
    lambda g, x, mean, rstd, weight, total, product: rstd * (g * weight - total - ((x - mean) * rstd) * product),
)
FIXED_BACK = Kernel("batch_norm/input", lambda g, scale: g * scale)


def plain(first, *others):
    """Whether all arrays (those that are given) are float32 or all float64, so that nothing is widened on the way."""
    dtype = first.dtype
    for a in others:
        if a is not None and a.dtype is not dtype:
            return False
    return dtype is F32 or dtype is F64


@cache
def by_rows(ndim, axes):
    return tuple(sorted(axes)) == tuple(range(ndim - len(axes), ndim))


@cache
def shared_axes(affine, ndim):
    """The axes of an image along which the parameters, of shape `affine`, are the same."""
    return tuple(a for a in range(ndim) if reference.affine_axis(affine, ndim, a) == 1)


@cache
def number(value):
    """A number as an operand of a row program."""
    return np.full((1, 1), value)


def statistics(x, shape, axes):
    if not plain(x) or not x.size or not x.flags.c_contiguous:
        return reference.statistics.reference(x, shape, axes)
    seen = x.reshape(shape)
    n = prod(shape[a] for a in axes)
    small = tuple(1 if i in axes else extent for i, extent in enumerate(shape))
    if by_rows(seen.ndim, tuple(axes)):
        rows = (seen.size // n, n)
        mean, variance = np.empty((rows[0], 1), x.dtype), np.empty((rows[0], 1), x.dtype)
        if MOMENTS(rows, [seen.reshape(rows)], [mean, variance]):
            return mean.reshape(small), variance.reshape(small)
    total = SUM(axes, seen)
    squares = total and DEVIATIONS(axes, seen, total[0] / n)
    if not squares:
        return reference.statistics.reference(x, shape, axes)
    return (total[0] / n).astype(x.dtype), (squares[0] / n).astype(x.dtype)


def standardize(input, weight, bias, shape, axes, affine, eps):
    parameters = [a for a in (weight, bias) if a is not None]
    whole = tuple(shape) == input.shape and input.flags.c_contiguous and input.size
    each = not parameters or tuple(affine[-len(axes) :]) == input.shape[-len(axes) :]
    if not whole or not each or not plain(input, *parameters) or not by_rows(input.ndim, tuple(axes)):
        return reference.standardize.reference(input, weight, bias, shape, axes, affine, eps)
    n = prod(shape[-len(axes) :])
    rows, dtype = input.size // n, input.dtype
    out, small = np.empty(shape, dtype), (*shape[: -len(axes)], *(1,) * len(axes))
    mean, rstd = np.empty(small, dtype), np.empty(small, dtype)
    given = [input.reshape(rows, n), number(eps), *(a.reshape(1, n) for a in parameters)]
    results = [out.reshape(rows, n), mean.reshape(rows, 1), rstd.reshape(rows, 1)]
    layer(weight is not None, bias is not None)((rows, n), given, results)
    return out, mean, rstd


def by_groups(input, shape, axes, fixed):
    """Whether `shape` is (images, groups of channels, elements of a group), and not the input's own."""
    if fixed or input.ndim < 3 or len(shape) != 3 or tuple(axes) != (2,) or tuple(shape) == input.shape:
        return False
    return shape[0] == input.shape[0] and input.shape[1] % shape[1] == 0


def for_channels(values, input):
    """What each group has, (images, groups, 1), as (images, channels, 1, ...)."""
    images, groups = values.shape[:2]
    each = np.repeat(values.reshape(images, groups), input.shape[1] // groups, 1)
    return each.reshape(images, -1, *(1,) * (input.ndim - 2))


def normalize(input, weight=None, bias=None, mean=None, rstd=None, shape=None, axes=(), affine=(), fixed=False):
    given = (input, weight, bias, mean, rstd)
    if plain(*given) and by_groups(input, shape, axes, fixed):
        mean, rstd = for_channels(mean, input), for_channels(rstd, input)
    elif tuple(shape) != input.shape or not plain(*given):
        return reference.normalize.reference(*given, shape, axes, affine, fixed)
    weight, bias = (None if a is None else a.reshape(affine) for a in (weight, bias))
    return STANDARDIZE(input, mean, rstd, weight, bias)


def gradients(g, input, weight, mean, rstd, shape, axes, affine, fixed, eps, needs):
    given = (g, input, weight, mean, rstd, shape, axes, affine, fixed, eps, needs)
    fallback = reference.gradients.reference
    ndim = input.ndim
    if plain(g, input, weight, mean, rstd) and input.flags.c_contiguous and by_groups(input, shape, axes, fixed):
        found = group_gradients(np.ascontiguousarray(g), input, weight, mean, rstd, shape, affine, needs)
        return fallback(*given) if found is None else found
    if tuple(shape) != input.shape or not plain(g, input, weight, mean, rstd) or not input.flags.c_contiguous:
        return fallback(*given)
    g = np.ascontiguousarray(g)
    over = shared_axes(tuple(affine), ndim)
    layer = by_rows(ndim, tuple(axes)) and over == tuple(range(ndim - len(axes)))
    if layer and needs[0] and not fixed:
        parameter = reference.shape_of_bias(weight, ndim, axes, affine)
        return layer_gradients(g, input, weight, mean, rstd, prod(shape[len(over) :]), parameter, needs)
    if not layer and set(over) != set(axes):
        return fallback(*given)
    d_input = d_weight = d_bias = sums = None
    if needs[1] or needs[2] or not layer:
        sums = PARAMETERS(over, g, input, mean, rstd)
        if sums is None:
            return fallback(*given)
        parameter = reference.shape_of_bias(weight, ndim, axes, affine)
        d_weight, d_bias = (s.astype(input.dtype).reshape(parameter) if need else None
                            for s, need in zip(sums, needs[1:], strict=True))  # fmt: skip
    if needs[0]:
        scale = None if weight is None else weight.reshape(affine)
        if fixed:
            d_input = FIXED_BACK(g, rstd if scale is None else rstd * scale)
        else:
            n = prod(shape[a] for a in axes)
            total, product = ((s / n).astype(input.dtype) for s in (sums[1], sums[0]))
            d_input = BATCH_BACK(g, input, mean, rstd, rstd if scale is None else rstd * scale, total, product)
    return d_input, d_weight, d_bias


def layer_gradients(g, input, weight, mean, rstd, n, parameter, needs):
    """The cotangents of normalization by layer, that of the input included, in one walk over rows of `n`."""
    rows = input.size // n
    arrays = [a.reshape(rows, -1) for a in (g, input, mean, rstd)]
    arrays += [] if weight is None else [weight.reshape(1, n)]
    whole, summed = np.empty(input.shape, input.dtype), needs[1] or needs[2]
    out, kernel = whole.reshape(rows, n), layer_back(weight is not None, summed)
    if not summed:
        kernel((rows, n), arrays, [out])
        return whole, None, None
    lines = rows // LINE
    sums = lines_of_zeros(2 * (lines + 1), n, input.dtype).reshape(2, lines + 1, 1, n)
    for first, last, each in ((0, lines, LINE), (lines, lines + 1, rows % LINE)):
        part = slice(first * LINE, first * LINE + (last - first) * each)
        if part.start < part.stop:
            shape = (last - first, each, n)
            cut = [a[part].reshape(*shape[:2], -1) if len(a) == rows else a for a in arrays]
            kernel(shape, cut, [out[part].reshape(shape), *sums[:, first:last]])
    products, totals = sums.sum(1, np.float64).astype(input.dtype).reshape(2, *parameter)
    return whole, products if needs[1] else None, totals if needs[2] else None


def group_gradients(g, input, weight, mean, rstd, shape, affine, needs):
    """The cotangents of group normalization, by way of two sums for each image and channel; None without a kernel."""
    images, channels = input.shape[:2]
    groups, size = shape[1:]
    wide_mean, wide_rstd = for_channels(mean, input), for_channels(rstd, input)
    sums = PARAMETERS(tuple(range(2, input.ndim)), g, input, wide_mean, wide_rstd)
    if sums is None:
        return None
    products, totals = (s.reshape(images, channels) for s in sums)
    parameter = (channels,) if weight is None else weight.shape
    d_weight, d_bias = (s.sum(0).astype(input.dtype).reshape(parameter) if need else None
                        for s, need in zip((products, totals), needs[1:], strict=True))  # fmt: skip
    d_input = None
    if needs[0]:
        scale = np.ones(affine, input.dtype) if weight is None else weight.reshape(affine)
        shares = ((s * scale.reshape(channels)).reshape(images, groups, -1).sum(2, keepdims=True) / size
                  for s in (totals, products))  # fmt: skip
        total, product = (for_channels(s.astype(input.dtype), input) for s in shares)
        d_input = GROUP_BACK(g, input, wide_mean, wide_rstd, scale, total, product)
    return d_input, d_weight, d_bias
