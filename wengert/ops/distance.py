"""Distances and angles between vectors."""

import math

import numpy as np

from wengert.ops.declare import composite
from wengert.tensor import wrap


@composite(namespace="nn.functional", method=False)
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along `dim`; lengths below `eps` count as `eps`."""
    if not (x1.dtype.is_floating_point and x2.dtype.is_floating_point):
        raise RuntimeError("expected common dtype to be floating point, yet common dtype is " + repr(x1.dtype))
    if x1.shape != x2.shape:
        x1, x2 = _broadcast(x1, x2)
    length1 = _length(x1, dim).clamp_min(eps)
    length2 = _length(x2, dim).clamp_min(eps)
    return ((x1 / length1) * (x2 / length2)).sum(dim)


def _broadcast(x1, x2):
    from wengert.errors import broadcast_message

    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise RuntimeError(broadcast_message([tuple(x1.shape), tuple(x2.shape)])) from None
    return x1.expand(shape), x2.expand(shape)


def _length(x, dim):
    """The Euclidean length along `dim`, kept as a dimension; the derivative at 0 is 0."""
    return x.norm(2, dim, True)


@composite(namespace="nn.functional", method=False)
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps along the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim)


MANY = 1 << 16  # elements of the differences of all pairs of rows, of which half are looked at


@composite(namespace="nn.functional", method=False)
def pdist(input, p=2.0):
    """The p-norm distance between every two rows of (N, M): (N (N - 1) / 2,)."""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = (wrap(index) for index in np.triu_indices(input.shape[0], 1))
    if p == 2 and input.numel() * len(input) > MANY:
        from wengert.ops.products import distances

        return distances(input, input, 2.0, False)[first, second]
    difference = input[first] - input[second]
    if p == 0:
        return difference.sign().abs().sum(-1)
    if math.isinf(p):
        return difference.abs().amax(-1)
    return difference.norm(p, -1)


# PyTorch offers these under `torch` as well.
for _operation in (
    cosine_similarity,
    pairwise_distance,
    pdist,
):
    _operation.export(method=False)
