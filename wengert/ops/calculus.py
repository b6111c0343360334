"""Differences, integrals and statistics of samples, and numbers taken apart and put together."""

import math

import numpy as np

from wengert.dtypes import SCALAR_NAMES
from wengert.kernels.reductions import axis_of
from wengert.ops.declare import composite, pointwise, primitive
from wengert.ops.indexing import gather
from wengert.ops.pointwise import exp2, isfinite, lerp, select
from wengert.ops.reductions import cumsum, mean, norm_op, sum
from wengert.ops.shape import broadcast_tensors, cat, complex_of, narrow_to
from wengert.ops.sorting import with_ranks
from wengert.tensor import Tensor, wrap

LN2 = math.log(2)

# --- integrals --------------------------------------------------------------------------------------------------------


def trapezoids(y, x, dx, dim, name):
    """The areas between neighbouring samples."""
    axis = axis_of(dim, y.ndim)
    n = y.shape[axis] if y.ndim else 0
    if n == 0:
        return None
    pairs = narrow_to(y, axis, 0, n - 1) + narrow_to(y, axis, 1, n - 1)
    if x is None:
        if isinstance(dx, complex) and not y.dtype.is_complex:
            raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
        return pairs * (dx / 2)
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        width = narrow_to(x, 0, 1, n - 1) - narrow_to(x, 0, 0, n - 1)
        width = width.reshape([-1 if d == axis else 1 for d in range(y.ndim)])
    elif not x.ndim:
        raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
    else:
        missing = y.ndim - x.ndim
        x = x.reshape((1,) * missing + tuple(x.shape)) if missing > 0 else x
        extent = x.shape[axis if missing >= 0 else axis - missing]
        if extent != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        along = axis if missing >= 0 else axis - missing
        width = narrow_to(x, along, 1, n - 1) - narrow_to(x, along, 0, n - 1)
    return width * pairs * 0.5


def _trapezoid(y, x=None, *, dx=1, dim=-1):
    """The integral of samples `y` along `dim` by the trapezoidal rule, taken at `x` or `dx` apart."""
    if x is not None and not isinstance(x, Tensor):
        dx, x = x, None
    if x is None and isinstance(dx, (int, float)) and y.ndim and y.shape[dim]:  # all count whole, the ends half
        axis = axis_of(dim, y.ndim)
        ends = narrow_to(y, axis, 0, 1) + narrow_to(y, axis, y.shape[axis] - 1, 1)
        return (sum(y, axis) - ends.squeeze(axis) * 0.5) * dx
    areas = trapezoids(y, x, dx, dim, "trapezoid")
    if areas is None:
        axis = axis_of(dim, y.ndim)
        return wrap(np.zeros([n for d, n in enumerate(y.shape) if d != axis], y.dtype.numpy), y.dtype)
    return sum(areas, dim)


trapezoid = composite(_trapezoid, name="trapezoid", alias=("trapz",), method=False)


@composite(method=False)
def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1):
    """The integral up to each sample but the first."""
    if x is not None and not isinstance(x, Tensor):
        dx, x = x, None
    areas = trapezoids(y, x, dx, dim, "cumulative_trapezoid")
    return y.clone() if areas is None else cumsum(areas, dim)


# --- differences ------------------------------------------------------------------------------------------------------


@composite
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """The differences of neighbours along `dim`, taken `n` times, after joining `prepend` and `append` to the ends."""
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    axis = axis_of(dim, input.ndim)
    parts = [x for x in (prepend, input, append) if x is not None]
    for x in parts:
        if x.ndim != input.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        for d in range(input.ndim):
            if d != axis and x.shape[d] != input.shape[d]:
                raise RuntimeError(
                    "diff expects the shape of tensor to prepend or append to match that of input except along the "
                    "differencing "
                    f"dimension; input.size({d}) = {input.shape[d]}, but got tensor.size({d}) = {x.shape[d]}"
                )
    if n == 0:
        return input.clone()
    x = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[axis])):
        size = x.shape[axis]
        later, earlier = narrow_to(x, axis, 1, max(size - 1, 0)), narrow_to(x, axis, 0, max(size - 1, 0))
        x = later.logical_xor(earlier) if x.dtype.category == 0 else later - earlier
    return x


@composite(method=False)
def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """The derivative of samples along each dimension by central differences, one-sided of `edge_order` at the ends.

    Args:
        spacing: the distance between samples (one for all or one for each dimension; 1 unless given), or tensors of
            coordinates.
        dim: the dimensions; all by default.
    Returns:
        A tuple with a tensor for each dimension.
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    spacing = 1 if spacing is None else spacing
    several = isinstance(spacing, (list, tuple))
    if dim is None:
        dims = list(range(input.ndim))
    else:
        dims = [dim] if isinstance(dim, int) else list(dim)
    if several and len(spacing) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
            f"{input.ndim}', since dim argument was not given, but got a list of length {len(spacing)}"
        )
    spacings = list(spacing) if several else [spacing] * len(dims)
    axes = [axis_of(d, input.ndim) for d in dims]
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"dim {axes[0]} appears multiple times in the list of dims")
    for axis in axes:
        if input.shape[axis] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    x = input if input.dtype.category >= 2 else input.to(default_float())
    return tuple(slope(x, axis, h, edge_order) for axis, h in zip(axes, spacings, strict=True))


def default_float():
    from wengert.dtypes import default

    return default.dtype


def slope(y, axis, spacing, edge_order):
    """dy/dx along one dimension."""
    n = y.shape[axis]

    def at(start, length=1):
        return narrow_to(y, axis, start, length)

    if isinstance(spacing, Tensor) and spacing.ndim:
        if spacing.ndim != 1 or spacing.shape[0] != n:
            raise RuntimeError(
                "torch.gradient expected each spacing tensor to have one element for each sample along its dimension"
            )
        h = spacing.diff().reshape([-1 if d == axis else 1 for d in range(y.ndim)])

        def step(start, length=1):
            return narrow_to(h, axis, start, length)

        before, after = step(0, n - 2), step(1, n - 2)
        inner = (
            at(2, n - 2) * (before / (after * (before + after)))
            + at(1, n - 2) * ((after - before) / (before * after))
            - at(0, n - 2) * (after / (before * (before + after)))
        )
    else:

        def step(start, length=1):
            return spacing

        inner = (at(2, n - 2) - at(0, n - 2)) / (2 * spacing)
    if edge_order == 1:
        first, last = (at(1) - at(0)) / step(0), (at(n - 1) - at(n - 2)) / step(n - 2)
    else:
        first = one_sided(at(0), at(1), at(2), step(0), step(1))
        last = -one_sided(at(n - 1), at(n - 2), at(n - 3), step(n - 2), step(n - 3))
    return cat([first, inner, last], axis)


def one_sided(y0, y1, y2, h0, h1):
    """The derivative at the first of three samples, to second order."""
    return -(2 * h0 + h1) / (h0 * (h0 + h1)) * y0 + (h0 + h1) / (h0 * h1) * y1 - h0 / (h1 * (h0 + h1)) * y2


# --- statistics -------------------------------------------------------------------------------------------------------


@composite
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables (rows) over observations (columns).

    Args:
        correction: taken from the number of observations in the divisor.
        fweights: how often each observation was made (integers).
        aweights: how important each observation is.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    if input.dtype.category == 0:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.dtype.category >= 2 else input.to(default_float())
    x = x.reshape(1, -1) if x.ndim < 2 else x
    count = x.shape[1]
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        if weights.ndim > 1:
            raise RuntimeError(
                f"cov(): expected {name} to have one or fewer dimensions but got {name} with {weights.ndim} dimensions"
            )
        if weights.numel() != count:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got "
                f"{weights.numel()} "
                f"!= {count}"
            )
        if (weights.dtype.category >= 2) is (name == "fweights"):
            kind = "integral" if name == "fweights" else "floating point"
            raise RuntimeError(
                f"cov(): expected {name} to have {kind} dtype but got {name} with {SCALAR_NAMES[weights.dtype]} dtype"
            )
        if (weights._array < 0).any():
            raise RuntimeError(f"cov(): {name} cannot be negative")
    weights = fweights
    if aweights is not None:
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        average, total = mean(x, 1, True), count
        norm = max(count - correction, 0)
    else:
        weights = weights.reshape(1, -1)
        total = sum(weights)
        if count and not float(total.detach()):
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        average = sum(x * weights, 1, True) / total
        used = 1 if aweights is None else sum(weights * aweights.reshape(1, -1)) / total
        norm = (total - correction * used).clamp_min(0)
    centred = x - average
    other = centred if weights is None else centred * weights
    result = other @ centred.conj().mT / norm if x.dtype.is_complex else centred @ other.mT / norm
    return result.squeeze()


@composite
def corrcoef(input):
    """The matrix of Pearson's correlations of variables (rows) over observations (columns)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    deviation = c.diagonal().sqrt()
    if c.dtype.is_complex:
        deviation = deviation.real
    c = c / deviation.reshape(-1, 1) / deviation.reshape(1, -1)
    return complex_of(c.real.clamp(-1, 1), c.imag.clamp(-1, 1)) if c.dtype.is_complex else c.clamp(-1, 1)


def _renormed(input, p, dim, maxnorm):
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    axis = axis_of(dim, input.ndim)
    norm = norm_op(input, p, tuple(d for d in range(input.ndim) if d != axis), True)
    return input * select(norm > maxnorm, maxnorm / (norm + 1e-7), 1)


@composite
def renorm(input, p, dim, maxnorm):
    """The slices along `dim`, shrunk to a p-norm of at most `maxnorm`."""
    return _renormed(input, p, dim, maxnorm)


def renorm_(self, p, dim, maxnorm):
    """`renorm` in place; returns this tensor."""
    source = self.clone() if self.requires_grad else self
    return self.copy_(_renormed(source, p, dim, maxnorm))


Tensor.renorm_ = renorm_

# --- numbers taken apart and put together -----------------------------------------------------------------------------


def _ldexp(input, other):
    return input * np.exp2(other)


ldexp = pointwise(
    "ldexp",
    _ldexp,
    promote="float",
    numbers=False,
    input=lambda g, other: g * exp2(other),
    other=lambda g, out: g * (out * LN2),
)


def _frexp(input):
    if input.dtype.kind not in "fV":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    wide = input if input.dtype.itemsize > 2 else input.astype(np.float32)
    mantissa, exponent = np.frexp(wide)
    mantissa = mantissa.astype(input.dtype, copy=False)
    return mantissa, exponent, input, mantissa  # the last two for the derivative, which is their quotient


frexp = primitive(
    "frexp",
    _frexp,
    outputs=("mantissa", "exponent"),
    nodiff_outputs=("exponent",),
    residuals=("whole", "part"),
    input=lambda g, whole, part: select(isfinite(whole) & (whole != 0), g * (part / whole), g),
)


@composite(method=False, name="complex")
def complex_from_parts(real, imag):
    """The complex numbers of these real and imaginary parts."""
    for x in (real, imag):
        if not x.dtype.is_floating_point:
            raise RuntimeError(
                f"Expected both inputs to be Half, Float or Double tensors but got {SCALAR_NAMES[real.dtype]} and "
                f"{SCALAR_NAMES[imag.dtype]}"
            )
    if real.dtype is not imag.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {SCALAR_NAMES[real.dtype]} but got scalar type "
            f"{SCALAR_NAMES[imag.dtype]} for second argument"
        )
    if real.dtype.itemsize < 4:
        raise NotImplementedError("complex(): wengert has no complex32")
    return complex_of(*broadcast_tensors(real, imag))


@composite(method=False)
def polar(abs, angle):
    """The complex numbers of these absolute values and angles."""
    if (
        not (abs.dtype.is_floating_point and angle.dtype.is_floating_point)
        or abs.dtype.itemsize < 4
        or angle.dtype.itemsize < 4
    ):
        raise RuntimeError(
            f"Expected both inputs to be Float or Double tensors but got {SCALAR_NAMES[abs.dtype]} and "
            f"{SCALAR_NAMES[angle.dtype]}"
        )
    if abs.dtype is not angle.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {SCALAR_NAMES[abs.dtype]} but got scalar type "
            f"{SCALAR_NAMES[angle.dtype]} for second argument"
        )
    return complex_of(abs * angle.cos(), abs * angle.sin())


# --- order statistics -------------------------------------------------------------------------------------------------

INTERPOLATIONS = {  # name: how far from the lower of two neighbours to the upper, given the fraction of the rank
    "linear": None,
    "lower": lambda x: 0 * x,
    "higher": np.ceil,
    "midpoint": lambda x: 0.5 * np.ceil(x),
    "nearest": np.round,
}


def quantiles(name, input, q, dim, keepdim, interpolation, ignore_nan):
    if not input.dtype.is_floating_point or input.dtype.itemsize < 4:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = wrap(np.asarray(q, input.dtype.numpy), input.dtype)
    if q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if not ((q._array >= 0) & (q._array <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    ndim = input.ndim
    axis = None if dim is None else axis_of(dim, ndim)
    x = input.reshape(-1) if dim is None or not ndim else input.movedim(axis, -1)
    array = x._array
    numbers = (array == array).sum(-1, keepdims=True)
    last = np.maximum(numbers - 1, 0) if ignore_nan else np.full(numbers.shape, array.shape[-1] - 1)
    rank = q.reshape(-1) * wrap(last.astype(array.dtype))
    if not ignore_nan:
        rank = select(wrap(numbers < array.shape[-1]), float(array.shape[-1] - 1), rank)
    lower = np.floor(rank._array).astype(np.int64)
    fraction = rank - wrap(lower.astype(array.dtype))
    if interpolation != "linear":
        fraction = wrap(INTERPOLATIONS[interpolation](fraction._array).astype(array.dtype))
    upper = np.ceil(rank._array).astype(np.int64)
    ordered = with_ranks(x, lower, upper)
    below = gather(ordered, -1, wrap(lower))
    if fraction._array.any() or fraction.requires_grad:
        below = lerp(below, gather(ordered, -1, wrap(upper)), fraction)
    if keepdim:
        below = (
            below.reshape((*([1] * ndim), -1))
            if axis is None or not ndim
            else below.unsqueeze(axis if axis < ndim - 1 else -2)
        )
    return below.movedim(-1, 0) if q.ndim else below.squeeze(-1)


@composite
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The values below which fractions `q` of the elements lie, along `dim` or of all.

    Args:
        input: float32 or float64; q: a number or a tensor (K,) of numbers in [0, 1].
        interpolation: between neighbours: "linear", "lower", "higher", "midpoint" or "nearest".
    Returns:
        The quantiles; with a first dimension of K elements for a vector `q`.
    """
    return quantiles("quantile", input, q, dim, keepdim, interpolation, False)


@composite
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """`quantile` of the elements that are not NaN."""
    return quantiles("nanquantile", input, q, dim, keepdim, interpolation, True)
