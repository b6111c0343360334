"""Standardizing over some axes, then a scale and a shift: the arithmetic that all normalization layers share.

``out = (x - mean) * rstd * weight + bias``, where mean and rstd (1 / standard deviation) come from `statistics` or from
running averages.  Groups are axes of their own: `shape` is how `x` is seen while it is standardized, `affine` the
shape in which weight and bias broadcast against `x`.
"""

from math import prod

import numpy as np

from wengert.kernels import sums
from wengert.kernels.choices import by_size, stands_in
from wengert.kernels.convolution import laid_out_like
from wengert.kernels.fitting import positive


def wide(array):
    """16-bit floats in 32 bits; None stays None."""
    if array is None or array.dtype.itemsize > 2 or array.dtype.kind not in "fV":
        return array
    return array.astype(np.float32)


@by_size
def statistics(x, shape, axes):
    """Mean and (biased) variance of `x`, seen in `shape`, over `axes`, these kept as ones."""
    return centred_statistics(wide(x).reshape(shape), axes)[1:]


def centred_statistics(x, axes):
    """`x` less its mean over `axes`, that mean, and the (biased) variance, with the axes kept as ones."""
    count = positive(prod([x.shape[a] for a in axes]), x.dtype)
    mean = sums.add(x, axes, True) / count
    centred = x - mean
    return centred, mean, sums.add(centred * centred, axes, True) / count


def reciprocal_root(variance, eps):
    """1 / standard deviation."""
    dtype = variance.dtype
    return positive(1, dtype) / np.sqrt(variance + positive(eps, dtype))


@by_size
def standardize(input, weight=None, bias=None, shape=None, axes=(), affine=(), eps=0.0):
    """`normalize` by the statistics of the input itself: the result, mean and 1 / standard deviation."""
    if stands_in("normalization.statistics", input.size):
        mean, variance = statistics(input, shape, axes)
        rstd = reciprocal_root(variance, eps)
        return normalize(input, weight, bias, mean, rstd, shape, axes, affine), mean, rstd
    centred, mean, variance = centred_statistics(wide(input).reshape(shape), axes)
    rstd = reciprocal_root(variance, eps)
    centred *= rstd
    return scaled(centred, input, weight, bias, affine), mean, rstd


def channel_statistics(x, shape, axes, eps, stored):
    """Mean, biased variance and 1 / standard deviation as batch normalization has them: in 16 bits where the parameters
    have 16 (`stored`), each rounded as PyTorch rounds it on the way."""
    mean, variance = statistics(x, shape, axes)

    def rounded(values):
        return values.astype(stored).astype(values.dtype)

    if stored is not None:
        count = np.float32(prod(shape[a] for a in axes))
        mean, variance = rounded(mean), rounded(rounded(variance * count) / count)
    rstd = reciprocal_root(variance, eps)
    return mean, variance, rstd if stored is None else rounded(rstd)


@by_size
def normalize(input, weight=None, bias=None, mean=None, rstd=None, shape=None, axes=(), affine=(), fixed=False):
    out = wide(input).reshape(shape) - mean
    out *= rstd
    return scaled(out, input, weight, bias, affine)


def scaled(out, input, weight, bias, affine):
    """The standardized `out`, written into, times the weight plus the bias, in the input's shape, dtype and layout."""
    out = out.reshape(input.shape)
    if weight is not None:
        out *= wide(weight).reshape(affine)
    if bias is not None:
        out += wide(bias).reshape(affine)
    return laid_out_like(out if out.dtype is input.dtype else out.astype(input.dtype), input)


@by_size
def gradients(g, input, weight, mean, rstd, shape, axes, affine, fixed, eps, needs):
    """The cotangents of input, weight and bias, each None unless `needs` asks for it.

    `fixed` says that mean and rstd do not depend on the input.
    """
    dtype = input.dtype
    g, x, scale = wide(g), wide(input), wide(weight)
    d_input = d_weight = d_bias = None
    over = tuple(a for a in range(x.ndim) if affine_axis(affine, x.ndim, a) == 1)
    if needs[1] or not fixed:
        standard = x.reshape(shape) - mean
        standard *= rstd
    if needs[1]:
        d_weight = sums.add(g * standard.reshape(x.shape), over).reshape(weight.shape).astype(weight.dtype, copy=False)
    if needs[2]:
        d_bias = sums.add(g, over).reshape(shape_of_bias(weight, x.ndim, axes, affine)).astype(dtype, copy=False)
    if needs[0]:
        if scale is not None:
            g = g * scale.reshape(affine)
        along = g.reshape(shape)
        if fixed:
            d_input = along * rstd
        else:
            count = along.dtype.type(prod(along.shape[a] for a in axes))
            d_input = along - sums.add(along, axes, keepdims=True) / count
            standard *= sums.add(along * standard, axes, keepdims=True) / count
            d_input -= standard
            d_input *= rstd
        d_input = laid_out_like(d_input.reshape(input.shape).astype(dtype, copy=False), input)
    return d_input, d_weight, d_bias


def shape_of_bias(weight, ndim, axes, affine):
    """That of the weight; without one, the last dimensions' shape if it goes over these, else a vector of channels."""
    if weight is not None:
        return weight.shape
    return affine if tuple(axes) == tuple(range(ndim - len(affine), ndim)) else (-1,)


def affine_axis(affine, ndim, axis):
    """The extent of `affine` along an axis of the image it broadcasts against."""
    offset = ndim - len(affine)
    return 1 if axis < offset else affine[axis - offset]
