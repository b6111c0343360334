"""Reductions over dimensions, scans along one, and the softmax family.

`dim` is None (all), an int or a tuple of ints, counted from either end, as in PyTorch. Half-precision numbers are
summed in single precision, integers in 64 bits.
"""

import math

import numpy as np

from wengert.dtypes import SCALAR_NAMES
from wengert.kernels import sums
from wengert.kernels.choices import offered
from wengert.kernels.fitting import positive
from wengert.kernels.indexing import along
from wengert.kernels.pointwise import logaddexp, refuse


def is_half(dtype):
    """Whether a NumPy dtype is float16 or bfloat16 (asking for its `name` would take longer than most sums)."""
    return dtype.itemsize == 2 and dtype.kind in "fV"


WHOLE_OF_NOTHING = (
    "{}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' "
    "argument."
)


F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def axes_of(dim, ndim, name="dim"):
    """`dim` as a tuple of axes counted from the front; raises IndexError or RuntimeError as PyTorch does."""
    if type(dim) is int and -ndim <= dim < ndim:
        return (dim + ndim if dim < 0 else dim,)
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if not isinstance(dim, (tuple, list)) else tuple(dim)
    if len(dims) == 1 and ndim:
        return (axis_of(dims[0], ndim),)
    if not dims and isinstance(dim, (tuple, list)):
        return tuple(range(ndim))
    axes = []
    for d in dims:
        axis = axis_of(d, ndim)
        if axis in axes:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
        axes.append(axis)
    return tuple(axes) if ndim else ()


def axis_of(dim, ndim):
    """One dimension counted from the front; a 0-d array has one, for this purpose."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim + ndim if dim < 0 else dim
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"dim must be int, not {type(dim).__name__}")
    limit = ndim or 1
    if -limit <= dim < limit:
        return dim + limit if dim < 0 else dim
    raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")


def _accumulator(input, dtype):
    """(dtype to accumulate in, dtype of the result) for sums and products."""
    if dtype is not None:
        target = dtype.numpy
    elif input.dtype.kind in "biu":
        target = np.dtype(np.int64)
    else:
        target = input.dtype
    return (np.dtype(np.float32) if is_half(target) else target), target


def _total(input, axes, wide, keepdims):
    if input.dtype == wide:
        return sums.add(input, axes, keepdims)
    return np.add.reduce(input, axis=axes, dtype=wide, keepdims=keepdims)


def sum(input, dim=None, keepdim=False, *, dtype=None):
    if dtype is None and (input.dtype is F32 or input.dtype is F64 or input.dtype.kind == "c"):
        if dim is None:
            return np.add.reduce(input, axis=None, keepdims=bool(keepdim))
        return sums.add(input, axes_of(dim, input.ndim), bool(keepdim))
    wide, target = _accumulator(input, dtype)
    result = _total(input, axes_of(dim, input.ndim), wide, bool(keepdim))
    return result.astype(target, copy=False)


def nansum(input, dim=None, keepdim=False, *, dtype=None):
    if input.dtype.kind == "c":
        raise RuntimeError("nansum does not support complex inputs")
    if input.dtype.kind in "biu":
        return sum(input, dim, keepdim, dtype=dtype)
    return sum(np.where(np.isnan(input), np.zeros((), input.dtype), input), dim, keepdim, dtype=dtype)


def mean(input, dim=None, keepdim=False, *, dtype=None):
    if dtype is None and (input.dtype is F32 or input.dtype is F64):
        axes = axes_of(dim, input.ndim)
        total = sums.add(input, axes, bool(keepdim))
        return total / positive(count_of(input.shape, axes), input.dtype)
    if dtype is None and input.dtype.kind in "biu":
        names = {"b": "Bool", "u": "Byte"}
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
            f"{names.get(input.dtype.kind, 'Long')}"
        )
    if dtype is not None and not dtype.differentiable:
        raise RuntimeError(
            "mean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. "
            "Got: "
            f"{SCALAR_NAMES[dtype]}"
        )
    axes = axes_of(dim, input.ndim)
    wide, target = _accumulator(input, dtype)
    total = _total(input, axes, wide, bool(keepdim))
    return np.asarray(total / np.asarray(count_of(input.shape, axes), total.dtype)).astype(target, copy=False)


def count_of(shape, axes):
    """How many elements lie along `axes`."""
    count = 1
    for axis in axes:
        count *= shape[axis]
    return count


def prod(input, dim=None, keepdim=False, *, dtype=None):
    wide, target = _accumulator(input, dtype)
    axes = None if dim is None else axis_of(dim, input.ndim)
    if not input.ndim:
        axes = ()
    return np.multiply.reduce(input, axis=axes, dtype=wide, keepdims=bool(keepdim)).astype(target, copy=False)


def _refuse_empty(input, axes, name, explicit=True):
    if input.size == 0 and 0 in [input.shape[a] for a in axes]:
        kind = IndexError if len(axes) < input.ndim or (input.ndim == 1 and explicit) else RuntimeError
        raise kind(
            f"{name}(): Expected reduction dim {axes[0]} to have non-zero size."
            if kind is IndexError
            else f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the "
            "'dim' argument."
        )


def amax(input, dim=(), keepdim=False):
    refuse(input, "max_values_cpu", "c")
    axes = axes_of(dim, input.ndim)
    _refuse_empty(input, axes, "amax", dim != ())
    return np.maximum.reduce(input, axis=axes, keepdims=bool(keepdim)) if axes else input.copy()


def amin(input, dim=(), keepdim=False):
    refuse(input, "min_values_cpu", "c")
    axes = axes_of(dim, input.ndim)
    _refuse_empty(input, axes, "amin", dim != ())
    return np.minimum.reduce(input, axis=axes, keepdims=bool(keepdim)) if axes else input.copy()


def max_all(input):
    refuse(input, "max_all", "c")
    if input.size == 0:
        raise RuntimeError(WHOLE_OF_NOTHING.format("max"))
    return np.maximum.reduce(input, axis=None)


def min_all(input):
    refuse(input, "min_all", "c")
    if input.size == 0:
        raise RuntimeError(WHOLE_OF_NOTHING.format("min"))
    return np.minimum.reduce(input, axis=None)


def _extreme(input, dim, keepdim, name, find):
    if input.dtype.kind == "c":
        raise RuntimeError(f"{name}(): does not support complex input")
    if input.ndim == 0:
        axis_of(dim, 0)
        return input.copy(), np.zeros((), np.int64)
    axis = axis_of(dim, input.ndim)
    _refuse_empty(input, (axis,), name)
    indices = find(_sortable(input), axis, keepdims=True)
    values = along(input, indices, axis)
    if not keepdim:
        values, indices = values.squeeze(axis), indices.squeeze(axis)
    return values, indices


def _sortable(input):
    return input.astype(np.float32) if input.dtype.kind == "V" else input


def max_dim(input, dim, keepdim=False):
    return _extreme(input, dim, keepdim, "max", np.ndarray.argmax)


def min_dim(input, dim, keepdim=False):
    return _extreme(input, dim, keepdim, "min", np.ndarray.argmin)


def argmax(input, dim=None, keepdim=False):
    return _arg(input, dim, keepdim, np.ndarray.argmax, "argmax")


def argmin(input, dim=None, keepdim=False):
    return _arg(input, dim, keepdim, np.ndarray.argmin, "argmin")


def _arg(input, dim, keepdim, find, name):
    if input.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input")
    if dim is not None:
        axis_of(dim, input.ndim)
    if input.dtype.kind in "c":
        raise RuntimeError(f"{name}(): does not support complex input")
    if input.ndim == 0:
        return np.zeros((), np.int64)
    if dim is None:
        if input.size == 0:
            raise IndexError(WHOLE_OF_NOTHING.format(name))
        result = np.asarray(find(_sortable(input)), np.int64)
        return result.reshape((1,) * input.ndim) if keepdim else result
    axis = axis_of(dim, input.ndim)
    _refuse_empty(input, (axis,), name)
    return np.asarray(find(_sortable(input), axis, keepdims=bool(keepdim)), np.int64)


def truth(input):
    return input if input.dtype.kind == "b" else input != 0


def questioned_axes(dim, ndim):
    """The axes over which `any` and `all` go: of an empty list none, where other reductions take all."""
    return () if isinstance(dim, (tuple, list)) and not dim else axes_of(dim, ndim)


def all(input, dim=None, keepdim=False):
    result = np.logical_and.reduce(truth(input), axis=questioned_axes(dim, input.ndim), keepdims=bool(keepdim))
    return np.asarray(result).astype(np.uint8) if input.dtype == np.uint8 else result


def any(input, dim=None, keepdim=False):
    result = np.logical_or.reduce(truth(input), axis=questioned_axes(dim, input.ndim), keepdims=bool(keepdim))
    return np.asarray(result).astype(np.uint8) if input.dtype == np.uint8 else result


def count_nonzero(input, dim=None):
    return np.asarray(np.count_nonzero(input, axis=axes_of(dim, input.ndim)), np.int64)


def var(input, dim=None, correction=1, keepdim=False):
    """The mean square distance from the mean, in two passes; `correction` is taken from the count."""
    return _moments(input, dim, correction, keepdim)[0]


def _moments(input, dim, correction, keepdim):
    """(variance, mean with the reduced dimensions kept), both in the width in which they are summed."""
    if input.dtype.kind in "biu":
        raise RuntimeError("std and var only support floating point and complex dtypes")
    axes = axes_of(dim, input.ndim)
    wide, target = _accumulator(input, None)
    work = input if wide is input.dtype else input.astype(wide)
    count = count_of(input.shape, axes)
    center = sums.add(work, axes, True) / positive(count, work.dtype) if axes else work
    deviation = work - center
    square = (deviation.real**2 + deviation.imag**2) if work.dtype.kind == "c" else deviation * deviation
    total = sums.add(square, axes, bool(keepdim))
    result = total / positive(max(count - correction, 0), total.dtype)
    return (np.asarray(result).astype(target) if wide is not target else result), center


def std(input, dim=None, correction=1, keepdim=False):
    return np.sqrt(var(input, dim, correction, keepdim))


def var_mean(input, dim=None, correction=1, keepdim=False):
    variance, center = _moments(input, dim, correction, keepdim)
    return variance, center.reshape(np.shape(variance)).astype(input.dtype, copy=False)


def std_mean(input, dim=None, correction=1, keepdim=False):
    variance, center = var_mean(input, dim, correction, keepdim)
    return np.sqrt(variance), center


def logsumexp(input, dim, keepdim=False):
    """log of the sum of e^x, shifted by the maximum so that nothing overflows."""
    if input.dtype.kind in "biu":
        input = input.astype(np.float32)
    axes = axes_of(dim, input.ndim)
    if not axes:
        if input.dtype.kind != "c":
            return input.copy()
        return input.real + np.log(np.exp(1j * input.imag)).astype(input.dtype)
    if input.size == 0:
        return np.log(np.add.reduce(np.exp(input), axis=axes, keepdims=bool(keepdim)))
    peak = np.maximum.reduce(input.real if input.dtype.kind == "c" else input, axis=axes, keepdims=True)
    peak = np.where(np.isinf(peak), np.zeros((), peak.dtype), peak)
    total = np.log(np.add.reduce(np.exp(input - peak), axis=axes, keepdims=True)) + peak
    return total if keepdim else total.squeeze(axes)


def softmax(input, dim, *, dtype=None):
    """e^x over its sum along `dim`."""
    work, axis, target = _soft_input(input, dim, dtype, "softmax")
    if not work.size:
        return work.astype(target)
    e = work - np.maximum.reduce(work, axis=axis, keepdims=True)
    e = np.exp(e, out=e) if type(e) is np.ndarray else np.exp(e)
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e.astype(target, copy=False)


def log_softmax(input, dim, *, dtype=None):
    """log of softmax, without passing through its underflowing values."""
    work, axis, target = _soft_input(input, dim, dtype, "log_softmax")
    if not work.size:
        return work.astype(target)
    shifted = work - np.maximum.reduce(work, axis=axis, keepdims=True)
    total = np.add.reduce(np.exp(shifted), axis=axis, keepdims=True)
    if is_half(target) and axis in (None, work.ndim - 1):  # PyTorch stores both on the way along the last dimension
        total = np.log(total.astype(target).astype(np.float32)).astype(target).astype(np.float32)
    else:
        total = np.log(total)
    shifted -= total
    return shifted.astype(target, copy=False)


def _soft_input(input, dim, dtype, name):
    if dtype is not None:
        input = input.astype(dtype.numpy)
    elif input.dtype is F32 and input.ndim:
        return input, axis_of(dim, input.ndim), F32
    refuse(input, f"{name}_lastdim_kernel_impl", "biuc")
    axis = axis_of(dim, input.ndim)
    work = input.astype(np.float32) if is_half(input.dtype) else input
    return work, (axis if input.ndim else None), input.dtype


def _scan_dtype(input, dtype, name):
    if dtype is not None:
        if dtype.name == "bool":
            raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
        return dtype.numpy
    return np.dtype(np.int64) if input.dtype.kind in "biu" else input.dtype


def _scan_width(target):
    """The dtype of running sums and products: PyTorch's have twice the precision."""
    if is_half(target):
        return np.float32
    return {"f": np.float64, "c": np.complex128}.get(target.kind, target)


def cumsum(input, dim, *, dtype=None):
    axis = axis_of(dim, input.ndim)
    target = _scan_dtype(input, dtype, "cumsum")
    if input.ndim == 0:
        return input.astype(target)
    return np.add.accumulate(input, axis=axis, dtype=_scan_width(target)).astype(target, copy=False)


def cumprod(input, dim, *, dtype=None):
    axis = axis_of(dim, input.ndim)
    target = _scan_dtype(input, dtype, "cumprod")
    if input.ndim == 0:
        return input.astype(target)
    return np.multiply.accumulate(input, axis=axis, dtype=_scan_width(target)).astype(target, copy=False)


def logcumsumexp(input, dim):
    axis = axis_of(dim, input.ndim)
    if input.dtype.kind in "biu":
        raise NotImplementedError("\"logcumsumexp_out_cpu\" not implemented for 'Long'")
    if input.ndim == 0:
        return input.copy()
    if input.dtype.kind == "c":
        result = np.moveaxis(input.copy(), axis, 0)
        for i in range(1, len(result)):
            result[i] = logaddexp(result[i - 1], result[i])
        return np.moveaxis(result, 0, axis)
    return np.logaddexp.accumulate(input, axis=axis, dtype=_scan_width(input.dtype)).astype(input.dtype)


def adjoining(axes, input):
    """Whether these are the last axes of a large array laid out row by row."""
    return axes == tuple(range(input.ndim - len(axes), input.ndim)) and input.flags.c_contiguous and input.size > 1024


def length(input, count, keepdim):
    """The Euclidean length over the last `count` axes."""
    shape = input.shape[: input.ndim - count]
    squares = squares_of(input.reshape(math.prod(shape), -1))
    return np.sqrt(squares).reshape(shape + (1,) * count if keepdim else shape)


def squares_of(rows):
    """The sum of squares of each row of a matrix: float32 as PyTorch adds them, float64 by products of vectors.

    PyTorch adds every eighth square, one after the other, and then the eight sums and what is left over: of a million
    numbers the sum is wrong in the fifth digit. A gradient that is clipped is clipped by that much less or more, so the
    same sums are formed here.
    """
    n = rows.shape[1]
    part = LANES if rows.dtype == np.float32 else CHUNK
    cut = n - n % part
    rest = rows[:, cut:]
    if part == CHUNK:
        parts = rows[:, :cut].reshape(len(rows), -1, CHUNK)
        return np.add.reduce(np.vecdot(parts, parts), axis=1) + np.vecdot(rest, rest)
    whole = rows if cut == n else np.ascontiguousarray(rows[:, :cut])
    sums = offered("reductions.running_squares", rows.size, whole)
    if sums is None:
        parts = whole.reshape(len(rows), -1, LANES)
        sums = np.einsum("rij,rij->rj", parts, parts)
    return np.add.accumulate(np.concatenate([sums, rest * rest], axis=1), axis=1)[:, -1]


LANES, CHUNK = 8, 4096


def vector_norm(input, p=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|^p)^(1/p) over `dim`; the number of nonzeros for p = 0, extremes for p = ±inf."""
    if dtype is not None:
        input = input.astype(dtype.numpy)
    if input.dtype.kind in "biu":
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {input.dtype}"
        )
    axes = axes_of(dim, input.ndim)
    if len(axes) == input.ndim and input.flags.f_contiguous:
        input = input.T  # all of it, in the order of memory
    if p == 2 and input.dtype.kind == "f" and input.dtype.itemsize > 2 and adjoining(axes, input):
        return length(input, len(axes), keepdim)
    size = np.abs(input)
    wide, target = _accumulator(size, None)
    size = size.astype(wide, copy=False)
    keep = bool(keepdim)
    if p == 2:
        result = np.sqrt(np.add.reduce(size * size, axis=axes, keepdims=keep))
    elif p == 1:
        result = np.add.reduce(size, axis=axes, keepdims=keep)
    elif p == float("inf"):
        _refuse_empty(input, axes, "linalg.vector_norm")
        result = np.maximum.reduce(size, axis=axes, keepdims=keep)
    elif p == float("-inf"):
        _refuse_empty(input, axes, "linalg.vector_norm")
        result = np.minimum.reduce(size, axis=axes, keepdims=keep)
    elif p == 0:
        result = np.add.reduce((size != 0).astype(size.dtype), axis=axes, keepdims=keep)
    else:
        result = np.power(np.add.reduce(np.power(size, p), axis=axes, keepdims=keep), 1.0 / p)
    return np.asarray(result).astype(target, copy=False)
