"""What distributions share: broadcasting, probabilities and logits, triangles as vectors, lazy properties."""

import functools
import numbers

import wengert
from wengert.tensor import Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060
NUMBERS = (int, float, bool)


def broadcast_all(*values):
    """Tensors of one shape from tensors and numbers; numbers take the dtype of the first tensor, or the default one.

    Raises ValueError for anything else.
    """
    first = None
    for value in values:
        if isinstance(value, Tensor):
            first = value if first is None else first
        elif not isinstance(value, NUMBERS) and not hasattr(value, "__torch_function__"):
            raise ValueError(
                "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
                "__torch_function__."
            )
    dtype = wengert.get_default_dtype() if first is None else first.dtype
    tensors = [wengert.tensor(value, dtype=dtype) if isinstance(value, NUMBERS) else value for value in values]
    return tuple(wengert.broadcast_tensors(*tensors))


def as_size(shape):
    return shape if isinstance(shape, wengert.Size) else wengert.Size(shape)


def is_number(value):
    return isinstance(value, numbers.Number)


def _standard_normal(shape, dtype, device=None):
    """Standard normals, without a graph: what reparameterized samples are made of."""
    return wengert.empty(shape, dtype=dtype, device=device).normal_()


def _sum_rightmost(value, dim):
    """`value` summed over its last `dim` dimensions."""
    return value if dim == 0 else value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


def logits_to_probs(logits, is_binary=False):
    """Probabilities from log odds (`is_binary`), or from unnormalized log probabilities along the last dimension."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def clamp_probs(probs):
    """Probabilities kept within (0, 1), at a distance of the dtype's epsilon."""
    eps = wengert.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs, is_binary=False):
    """Log odds (`is_binary`) or log probabilities of `probs`, which are clamped first."""
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


class lazy_property:
    """A property computed with gradients when first asked for; the value then takes its place in the instance."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with wengert.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def _triangle(size, diag):
    index = wengert.arange(size)
    return index < index.view(-1, 1) + (diag + 1)


def tril_matrix_to_vec(mat, diag=0):
    """The elements on and below diagonal `diag` of matrices (..., D, D), row by row, in the last dimension."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _triangle(n, diag)]


def vec_to_tril_matrix(vec, diag=0):
    """The inverse of `tril_matrix_to_vec`; raises ValueError if the elements do not fill a triangle."""
    count = vec.shape[-1]
    # count = D (D + 1) / 2 for diag = 0; diag moves the triangle's edge.
    slope = 1 + 2 * diag
    n = (-slope + (slope * slope + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > wengert.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as the lower triangular part of a square "
            "D x D matrix."
        )
    n = round(n)
    mat = vec.new_zeros(vec.shape[:-1] + (n, n))
    mat[..., _triangle(n, diag)] = vec
    return mat
