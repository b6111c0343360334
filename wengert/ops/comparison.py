"""Whether tensors are equal or nearly so, extremes taken together, and steps."""

import numpy as np

from wengert.dtypes import SCALAR_NAMES
from wengert.kernels.reductions import axes_of
from wengert.ops.declare import composite, pointwise, primitive
from wengert.ops.pointwise import undifferentiated
from wengert.ops.reductions import equal_shares
from wengert.tensor import Tensor, wrap


def _isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    close = input == other
    if equal_nan and input.dtype.kind in "fcV":
        close |= (input != input) & (other != other)
    if rtol == 0 and atol == 0:
        return close
    if input.dtype.kind in "iu" and input.dtype.itemsize < 8:
        input, other = input.astype(np.int64), other.astype(np.int64)
    elif input.dtype.kind == "b":
        input, other = input.astype(np.uint8), other.astype(np.uint8)
    with np.errstate(all="ignore"):
        apart = np.abs(input - other)
        return close | (np.isfinite(apart) & (apart <= atol + np.abs(rtol * other)))


close = primitive("isclose", _isclose, tensors=("input", "other"), function=False, method=False)


@composite
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where |input - other| <= atol + rtol |other|.

    Args:
        equal_nan: whether NaN counts as close to NaN.
    Raises:
        RuntimeError: the dtypes differ, or a tolerance is negative.
    """
    if not isinstance(other, Tensor):
        raise TypeError(f"isclose(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{SCALAR_NAMES[input.dtype]} did not match {SCALAR_NAMES[other.dtype]}")
    rtol, atol = (x.item() if isinstance(x, Tensor) and not x._array.ndim else x for x in (rtol, atol))
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    return close(input, other, rtol, atol, equal_nan)


@composite
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all of `isclose` is true; a Python bool."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


@composite
def equal(input, other):
    """Whether both tensors have the same shape and elements; a Python bool."""
    if not isinstance(other, Tensor):
        raise TypeError(f"equal(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    if input.shape != other.shape:
        return False
    if input.dtype is not other.dtype:
        return bool((input.detach() == other.detach())._array.all())
    a, b = input._array, other._array
    if a.size > 1 << 16 and not (a[:1] == b[:1]).all():  # what differs does so early, as a rule
        return False
    return bool((a == b).all())


@composite
def isreal(input):
    """Where the imaginary part is 0."""
    return input.imag == 0 if input.dtype.is_complex else wrap(np.ones(input.shape, bool))


def _aminmax(input, *, dim=None, keepdim=False):
    if input.dtype.kind == "c":
        raise NotImplementedError("\"aminmax_kernel\" not implemented for 'ComplexFloat'")
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"aminmax(): argument 'dim' must be int, not {type(dim).__name__}")
    axes = axes_of(dim, input.ndim)
    if not input.size and (dim is None or any(input.shape[a] == 0 for a in axes)):
        if dim is None:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
            )
        raise IndexError(f"aminmax(): Expected reduction dim {dim} to have non-zero size.")
    return input.min(axis=axes, keepdims=keepdim), input.max(axis=axes, keepdims=keepdim)


aminmax = primitive(
    "aminmax",
    _aminmax,
    outputs=("min", "max"),
    input=lambda g, g_max, input, min, max, dim, keepdim: (
        equal_shares(g, input, min, dim, keepdim) + equal_shares(g_max, input, max, dim, keepdim)
    ),
)


def _heaviside(input, values):
    if input.dtype.kind == "c":
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    return np.where(input == 0, values, (input > 0).astype(input.dtype)).astype(input.dtype)


def of_one_dtype(values):
    """Here PyTorch promotes nothing."""
    input, other = values["input"], values["values"]
    if input.dtype is not other.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


heaviside = pointwise(
    "heaviside", _heaviside, tensors=("input", "values"), numbers=False, check=of_one_dtype, node="NotImplemented",
    input=lambda g: undifferentiated("heaviside"), values=lambda g: undifferentiated("heaviside"),
)  # fmt: skip
