"""Discrete Fourier transforms on pocketfft through NumPy, unscaled but for the factor that is given."""

import numpy as np


def innermost(input, dims):
    """The order of dimensions in which PyTorch leaves a result: those transformed vary fastest."""
    order = sorted(range(input.ndim), key=lambda d: -abs(input.strides[d]))
    return [d for d in order if d not in dims] + [d for d in order if d in dims]


def transformed(run, input, dims, scale, last=None):
    """Run on the last dimensions of `input`, in its order of strides, and give the dimensions their places back.

    Args:
        last: the dimensions that vary fastest in the result, if others than those transformed.
    """
    dims = tuple(d % input.ndim for d in dims)
    order = innermost(input, dims)
    result = run(np.ascontiguousarray(input.transpose(order)), tuple(range(input.ndim - len(dims), input.ndim)))
    result = scaled(result, scale)
    result = result.transpose([order.index(d) for d in range(input.ndim)])
    if last is not None:
        order = innermost(input, last)
        result = np.ascontiguousarray(result.transpose(order)).transpose([order.index(d) for d in range(input.ndim)])
    return result


def complex_to_complex(input, dims, scale, forward, last=None):
    """sum x exp(-+2 pi i jk/n) over `dims`, times `scale`."""
    if not dims:
        return input * scale if scale != 1 else input.copy()
    if forward:
        return transformed(lambda x, axes: np.fft.fftn(x, axes=axes), input, dims, scale, last)
    return transformed(lambda x, axes: np.fft.ifftn(x, axes=axes, norm="forward"), input, dims, scale, last)


def real_to_complex(input, dim, scale, forward):
    """The first half of the spectrum of a real signal; the rest is its mirror image."""
    if forward:
        return transformed(lambda x, axes: np.fft.rfft(x), input, (dim,), scale)
    return transformed(lambda x, axes: np.conj(np.fft.rfft(x)), input, (dim,), scale)


def complex_to_real(input, dim, size, scale, forward):
    """The real signal of `size` elements whose spectrum begins with `input`."""
    if forward:
        return transformed(lambda x, axes: np.fft.irfft(np.conj(x), size, norm="forward"), input, (dim,), scale)
    return transformed(lambda x, axes: np.fft.irfft(x, size, norm="forward"), input, (dim,), scale)


def scaled(x, scale):
    return x if scale == 1 else x * scale


def resized(input, dim, size):
    """Cut, or filled up with zeros, to `size` elements along `dim`."""
    n = input.shape[dim]
    if n >= size:
        return input[(slice(None),) * (dim % input.ndim) + (slice(size),)].copy()
    widths = [(0, 0)] * input.ndim
    widths[dim] = (0, size - n)
    return np.pad(input, widths)


def weighted(input, dim, size):
    """Twice what stands for two elements of a spectrum of `size`: all but the first, and the last if `size` is even."""
    weights = np.full(size // 2 + 1, 2, input.real.dtype)
    weights[0] = 1
    if size % 2 == 0:
        weights[-1] = 1
    shape = [1] * input.ndim
    shape[dim] = -1
    return input * weights.reshape(shape)
