"""Products over paired or adjoining dimensions, cross products, distances.

All but `cross` and `cdist` are arrangements of dimensions around one matrix product, whose derivative does the rest.
"""

import math

import numpy as np

from wengert.autograd.graph import rare
from wengert.dtypes import SCALAR_NAMES
from wengert.kernels.choices import offered
from wengert.kernels.pointwise import refuse
from wengert.kernels.reductions import axis_of
from wengert.ops.declare import composite, primitive
from wengert.ops.linalg import dot, mm
from wengert.ops.pointwise import select, zeros_of
from wengert.ops.reductions import norm_gradient, sum
from wengert.ops.shape import broadcast_shapes, permute_op, reshape_to, sum_to
from wengert.tensor import Tensor, wrap

HIDDEN = {"function": False, "method": False}

# --- paired dimensions ------------------------------------------------------------------------------------------------


@composite(method=False)
def tensordot(a, b, dims=2):
    """The product summed over pairs of dimensions: the last `dims` of `a` and the first of `b`, or two lists."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (tuple, list)):
        if len(dims) != 2:
            raise RuntimeError(f"tensordot expects dims to be int or two lists of dims, but got dims={dims}")
        ours, theirs = ([d] if isinstance(d, int) else list(d) for d in dims)
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        ours, theirs = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    if len(ours) != len(theirs):
        raise RuntimeError("both dimension lists should have same length")
    ours, theirs = [axis_of(d, a.ndim) for d in ours], [axis_of(d, b.ndim) for d in theirs]
    for x, y in zip(ours, theirs, strict=True):
        n, m = a.shape[x], b.shape[y]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {x} and second has size {m} in "
                f"dim {y}"
            )
        if n != m:  # one element meets many: their sum
            a, b = (a, sum(b, y, True)) if n == 1 else (sum(a, x, True), b)
    if a.dtype is not b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    rest_a, rest_b = [d for d in range(a.ndim) if d not in ours], [d for d in range(b.ndim) if d not in theirs]
    inner = math.prod(a.shape[d] for d in ours)
    shape = (*(a.shape[d] for d in rest_a), *(b.shape[d] for d in rest_b))
    left = permute_op(a, (*rest_a, *ours)).reshape(math.prod(a.shape[d] for d in rest_a), inner)
    right = permute_op(b, (*theirs, *rest_b)).reshape(inner, math.prod(b.shape[d] for d in rest_b))
    if left.shape[0] == right.shape[1] == 1:  # nothing is left but the sum
        return reshape_to(dot(left.reshape(inner), right.reshape(inner)), shape)
    return reshape_to(mm(left, right), shape)


@composite
def inner(input, other):
    """The product summed over the last dimension of both."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@composite
def kron(input, other):
    """The Kronecker product: every element of `input` times all of `other`, block by block."""
    ndim = max(input.ndim, other.ndim)
    a, b = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other))
    left = input.reshape([n for extent in a for n in (extent, 1)])
    right = other.reshape([n for extent in b for n in (1, extent)])
    return (left * right).reshape([n * m for n, m in zip(a, b, strict=True)])


@composite(method=False)
def chain_matmul(*matrices):
    """The product of matrices, in the order that costs the fewest multiplications."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    for matrix in matrices:
        if matrix.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {matrix.ndim}, expected 2 instead.")
    return matrices[0] if len(matrices) == 1 else in_best_order(matrices)


def in_best_order(matrices):
    """Their product; where to put the parentheses by dynamic programming (Cormen et al., section 15.2)."""
    sizes = [m.shape[0] for m in matrices] + [matrices[-1].shape[1]]
    n = len(matrices)
    cost = {(i, i): 0 for i in range(n)}
    cut = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i, j):
        return matrices[i] if i == j else mm(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)


# --- vectors ----------------------------------------------------------------------------------------------------------


def _cross(input, other, dim):
    refuse(input, "cross", "b")
    a, b = (np.moveaxis(x, dim, 0) for x in np.broadcast_arrays(input, other))
    out = np.empty(a.shape[1:] + (3,), a.dtype)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[j], b[k], out=out[..., i])
        out[..., i] -= a[k] * b[j]
    return np.ascontiguousarray(np.moveaxis(out, -1, dim))


cross_along = primitive(
    "linalg_cross",
    _cross,
    **HIDDEN,
    input=lambda g, input_shape, other, dim: sum_to(cross_along(other, g, dim), input_shape),
    other=lambda g, input, other_shape, dim: sum_to(cross_along(g, input, dim), other_shape),
)


def crossed(input, other, dim, name):
    if input.ndim != other.ndim:
        raise RuntimeError(f"{name}: inputs must have the same number of dimensions.")
    axis = axis_of(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise RuntimeError(
            f"{name}: inputs dimension {dim} must have length 3. Got {input.shape[axis]} and {other.shape[axis]}"
        )
    broadcast_shapes(input.shape, other.shape)
    if input.dtype is not other.dtype:
        raise RuntimeError(
            f"expected scalar type {SCALAR_NAMES[input.dtype]} but found {SCALAR_NAMES[other.dtype]}"
        )
    return cross_along(input, other, axis)


@composite
def cross(input, other, dim=None):
    """The vector product along `dim`, by default the first dimension of three elements."""
    if dim is None:
        if input.ndim != other.ndim:
            raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return crossed(input, other, dim, "linalg.cross")


def linalg_cross(input, other, *, dim=-1):
    """The vector product of `input` and `other` along `dim`, which has three elements."""
    return crossed(input, other, dim, "linalg.cross")


linalg_cross = composite(linalg_cross, namespace="linalg", method=False, name="cross")


@composite(namespace="linalg", method=False)
def vecdot(x, y, *, dim=-1):
    """The dot products of vectors along `dim`, of which those of `x` are conjugated."""
    usual = type(x) is type(y) is Tensor and x.dtype is y.dtype and x.dtype.itemsize > 2 and x.dtype.differentiable
    if usual and not (x.requires_grad or y.requires_grad or rare.active):
        return wrap(vecdots(x._array, y._array, dim))
    return sum(x.conj() * y if x.dtype.is_complex else x * y, dim)


def vecdots(x, y, dim):
    """The dot products as BLAS computes them, where no gradient will ask for the products of the elements."""
    x, y = np.broadcast_arrays(x, y)
    return np.asarray(np.vecdot(x, y, axis=axis_of(dim, x.ndim)))


# --- distances --------------------------------------------------------------------------------------------------------


def _distances(x1, x2, p, by_product=True):
    if p == 2 and by_product and max(x1.shape[-2], x2.shape[-2]) > 25:
        squares = (x1 * x1).sum(-1)[..., :, None] + (x2 * x2).sum(-1)[..., None, :]
        return np.sqrt(np.maximum(squares - 2 * (x1 @ x2.swapaxes(-1, -2)), 0))
    first, second = x1[..., :, None, :], x2[..., None, :, :]
    found = offered("products.distances", first.size * x2.shape[-2], first, second, p)
    if found is not None:
        return found
    difference = np.abs(first - second)
    if p == 2:
        return np.sqrt((difference * difference).sum(-1))
    if p == 0:
        return (difference != 0).sum(-1).astype(x1.dtype)
    if p == 1:
        return difference.sum(-1)
    if math.isinf(p):
        return difference.max(-1, initial=0)
    return ((difference**p).sum(-1) ** (1 / p)).astype(x1.dtype, copy=False)


def row_pulls(g, x, other, out, p):
    """What each row of `x` gets from its distances `out` to the rows of `other`."""
    if p == 2:
        weights = select(out == 0, 0, g / select(out == 0, 1, out))
        return x * sum(weights, -1, True) - weights @ other
    if p == 0:
        return zeros_of(x)
    difference = reshape_to(x, (*x.shape[:-1], 1, x.shape[-1])) - reshape_to(
        other, (*other.shape[:-2], 1, *other.shape[-2:])
    )
    return sum(norm_gradient(g, difference, out, p, -1, False), -2)


distances = primitive(
    "cdist",
    _distances,
    node="CdistBackward0",
    **HIDDEN,
    x1=lambda g, x1, x2, out, p: row_pulls(g, x1, x2, out, p),
    x2=lambda g, x1, x2, out, p: row_pulls(g.mT, x2, x1, out.mT, p),
)


@composite(method=False)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distance between every row of `x1` (..., P, M) and every row of `x2` (..., R, M): (..., P, R)."""
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in (*modes, None):
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
        if not x.dtype.is_floating_point:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    batch = broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    return distances(x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:]), float(p))
