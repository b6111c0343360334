"""``torch.masked``: reductions that leave out elements.

What a mask (True: take part) leaves out is replaced by the value that doesn't matter to the reduction; where a mask
leaves out everything, that value is the result.
"""

import math

import numpy as np

from wengert import dtypes
from wengert.ops.creation import to
from wengert.ops.pointwise import select
from wengert.ops.reductions import norm_op
from wengert.outside import outside
from wengert.tensor import wrap

__all__ = [
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]


def _filled(input, mask, value, dtype=None):
    """`input` (as `dtype`) with `value` where the mask is False; the mask is broadcast to it."""
    if dtype is not None:
        input = to(input, dtype)
    if mask is None:
        return input
    if mask.dtype is not dtypes.bool_:
        mask = mask != 0
    if mask.ndim > input.ndim:
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    return select(mask.expand(input.shape) if mask.shape != input.shape else mask, input, value)


def _dims(input, dim):
    """The dimensions as a tuple: all of them for None and ()."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(input.ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    for d in dims:
        if not -max(input.ndim, 1) <= d < max(input.ndim, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(input.ndim, 1)}, "
                f"{max(input.ndim, 1) - 1}], but got {d})"
            )
    found = tuple(d % max(input.ndim, 1) for d in dims)
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim={found[0]} appears multiple times in the list of dims")
    return found


def _lowest(dtype):
    return -math.inf if dtype.is_floating_point else dtypes.iinfo(dtype).min if dtype is not dtypes.bool_ else False


def _highest(dtype):
    return math.inf if dtype.is_floating_point else dtypes.iinfo(dtype).max if dtype is not dtypes.bool_ else True


def _summable(input, dtype):
    return dtype or (dtypes.int64 if input.dtype.category < 2 else input.dtype)


def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The sum of the elements that take part, over `dim` or of all."""
    x = _filled(input, mask, 0, _summable(input, dtype))
    return x.sum(_dims(x, dim), keepdim) if x.ndim else x.clone()


def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The product of the elements that take part, over `dim` or of all."""
    x = _filled(input, mask, 1, _summable(input, dtype))
    for d in sorted(_dims(x, dim), reverse=True):
        x = x.prod(d, keepdim)
    return x


def cumsum(input, dim, *, dtype=None, mask=None):
    """The sums up to each element, of the elements that take part."""
    return _filled(input, mask, 0, _summable(input, dtype)).cumsum(dim)


def cumprod(input, dim, *, dtype=None, mask=None):
    """The products up to each element, of the elements that take part."""
    return _filled(input, mask, 1, _summable(input, dtype)).cumprod(dim)


def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The largest of the elements that take part."""
    return _filled(input, mask, _lowest(dtype or input.dtype), dtype).amax(_dims(input, dim), keepdim)


def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The smallest of the elements that take part."""
    return _filled(input, mask, _highest(dtype or input.dtype), dtype).amin(_dims(input, dim), keepdim)


def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Where the largest of the elements that take part is, in the dtype of `input` as PyTorch has it."""
    return to(_filled(input, mask, _lowest(input.dtype)).argmax(dim, keepdim), dtype or input.dtype)


def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Where the smallest of the elements that take part is, in the dtype of `input` as PyTorch has it."""
    return to(_filled(input, mask, _highest(input.dtype)).argmin(dim, keepdim), dtype or input.dtype)


def _count(x, dims, keepdim, mask):
    """How many elements take part in each result."""
    taking = np.ones(x.shape, bool) if mask is None else np.broadcast_to(mask.detach()._array != 0, x.shape)
    kind = x.dtype.numpy if x.dtype.differentiable else np.int64
    return wrap(np.asarray(taking.sum(axis=dims, keepdims=keepdim)).astype(kind))


def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The mean of the elements that take part; NaN where none does."""
    dtype = dtype or (dtypes.default.dtype if input.dtype.category < 2 else input.dtype)
    if dtype.category < 2:
        raise ValueError("expected a floating point or complex dtype")
    x = _filled(input, mask, 0, dtype)
    dims = _dims(x, dim)
    return (x.sum(dims, keepdim) if x.ndim else x) / _count(x, dims if x.ndim else (), keepdim, mask)


def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None):
    """The median of the elements that take part along `dim` (the lower of two); NaN where none does."""
    if not (dtype or input.dtype).is_floating_point:
        raise ValueError(f"input expected to be float tensor, got {dtype or input.dtype}")
    return _filled(input, mask, math.nan, dtype).nanmedian(dim if input.ndim else 0, keepdim)[0]


def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The logarithm of the sum of exponentials of the elements that take part; -inf where none does."""
    dtype = dtype or input.dtype
    x = _filled(input, mask, -math.inf, dtypes.default.dtype if dtype.category < 2 else dtype)
    return to(x.logsumexp(_dims(x, dim), keepdim), dtype)


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None):
    """`torch.logaddexp`, with -inf for what doesn't take part."""
    return _filled(input, input_mask, -math.inf, dtype).logaddexp(_filled(other, other_mask, -math.inf, dtype))


def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The vector norm of the elements that take part."""
    x = _filled(input, mask, math.inf if ord < 0 else 0, dtype)
    return norm_op(x, ord, _dims(x, dim) if x.ndim else None, keepdim)


def var(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None):
    """The variance of the elements that take part."""
    if correction is not None and unbiased is not None:
        raise ValueError("Only one of unbiased and correction may be given")
    correction = (1 if unbiased is None or unbiased else 0) if correction is None else correction
    dtype = dtype or (dtypes.default.dtype if input.dtype.category < 2 else input.dtype)
    x = to(input, dtype)
    dims = _dims(x, dim) if x.ndim else ()
    centre = mean(x, dims or None, keepdim=True, mask=mask) if x.ndim else mean(x, mask=mask)
    apart = _filled(x - centre, mask, 0)
    squares = apart * apart.conj() if dtype.is_complex else apart * apart
    count = _count(squares.real, dims, keepdim, mask)
    return (squares.sum(dims, keepdim) if x.ndim else squares) / (count - correction).clamp(min=0)


def std(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None):
    """The standard deviation of the elements that take part."""
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()


def softmax(input, dim, *, dtype=None, mask=None):
    """Softmax of the elements that take part; 0 for the others."""
    return _filled(input, mask, -math.inf, dtype).softmax(dim)


def log_softmax(input, dim, *, dtype=None, mask=None):
    """The logarithm of softmax of the elements that take part."""
    return _filled(input, mask, -math.inf, dtype).log_softmax(dim)


def softmin(input, dim, *, dtype=None, mask=None):
    """Softmax of the negated elements that take part; 0 for the others."""
    return (-_filled(input, mask, math.inf, dtype)).softmax(dim)


def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None):
    """The elements that take part over their norm along `dim`, which counts as `eps` at least; 0 for the others."""
    x = _filled(input, mask, 0, dtype)
    return x / norm(x, ord, dim, keepdim=True, mask=mask).clamp(min=eps)

__getattr__ = outside(__name__)
