"""Discrete Fourier transforms on pocketfft through NumPy, unscaled but for the factor that is given."""

import math
from math import prod

import numpy as np

from wengert.kernels.choices import offered


def innermost(input, dims):
    """The order of dimensions in which PyTorch leaves a result: those transformed vary fastest."""
    order = sorted(range(input.ndim), key=lambda d: -abs(input.strides[d]))
    return [d for d in order if d not in dims] + [d for d in order if d in dims]


def transformed(kind, input, dims, scale, last=None, size=None, whole=False):
    """Run on the last dimensions of `input`, in its order of strides, and give the dimensions their places back.

    Args:
        kind: "fftn" or "ifftn", "rfft" or "irfft" (of one dimension, the result of which has `size` elements).
        last: the dimensions that vary fastest in the result, if others than those transformed.
        whole: whether the other half of the spectrum of a real signal is wanted, too.
    """
    dims = tuple(d % input.ndim for d in dims)
    order = innermost(input, dims)
    count = size or prod(input.shape[d] for d in dims)
    options = {"n": size} if size else {} if kind == "rfft" else {"axes": tuple(range(-len(dims), 0))}
    norm = norm_of(scale, count, kind in ("fftn", "rfft"))
    result = computed(kind, np.ascontiguousarray(input.transpose(order)), norm=norm or "backward", **options)
    if norm is None:
        result *= scale if kind in ("fftn", "rfft") else scale * count
    if whole:
        result = mirrored(result, count)
    result = result.transpose([order.index(d) for d in range(input.ndim)])
    if last is not None:
        order = innermost(input, last)
        result = np.ascontiguousarray(result.transpose(order)).transpose([order.index(d) for d in range(input.ndim)])
    return result


def computed(kind, x, **options):
    fast = offered("fourier.computed", x.size, kind, x, **options)
    return getattr(np.fft, kind)(x, **options) if fast is None else fast


def norm_of(scale, count, forward):
    """NumPy's name for a factor on a transform of so many elements, or None if it has none."""
    names = {1: "forward", 1 / math.sqrt(count): "ortho", 1 / count: "backward"}
    if forward:
        names = {1: "backward", 1 / math.sqrt(count): "ortho", 1 / count: "forward"}
    return names.get(scale)


def complex_to_complex(input, dims, scale, forward, last=None):
    """sum x exp(-+2 pi i jk/n) over `dims`, times `scale`."""
    if not dims:
        return input * scale if scale != 1 else input.copy()
    return transformed("fftn" if forward else "ifftn", input, dims, scale, last)


def real_to_complex(input, dim, scale, forward):
    """The first half of the spectrum of a real signal; the rest is its mirror image."""
    result = transformed("rfft", input, (dim,), scale)
    return result if forward else np.conj(result)


def real_to_spectrum(input, dim, scale):
    """The whole spectrum of a real signal."""
    return transformed("rfft", input, (dim,), scale, whole=True)


def mirrored(half, size):
    """The spectrum of `size` elements of a real signal, of which `half` is the first half."""
    out = np.empty((*half.shape[:-1], size), half.dtype)
    k = half.shape[-1]
    out[..., :k] = half
    np.conjugate(half[..., size - k : 0 : -1], out=out[..., k:])
    return out


def complex_to_real(input, dim, size, scale, forward):
    """The real signal of `size` elements whose spectrum begins with `input`."""
    return transformed("irfft", np.conj(input) if forward else input, (dim,), scale, size=size)


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
