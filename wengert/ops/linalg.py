"""Products of matrices and vectors, each beside its derivative."""

import numpy as np

from wengert.dtypes import FROM_NUMPY, promote_types
from wengert.errors import type_name
from wengert.kernels import matmul as kernels
from wengert.ops import halves
from wengert.ops.declare import choice, composite, primitive
from wengert.ops.emit import NUMBERS
from wengert.ops.shape import reshape_to, sum_to
from wengert.tensor import Parameter, Tensor

HIDDEN = {"function": False, "method": False}


def times(a, b):
    """a @ b, in derivatives: on arrays a large product goes to the fast kernel."""
    return a @ b


def times_like(a, b, strides):
    """a @ b, likewise; a large product on arrays lies in memory in the order of an array with these strides."""
    return a @ b


times._on_tensors, times._on_arrays = True, kernels.times
times_like._on_tensors, times_like._on_arrays = True, kernels.times_like

mm = primitive("mm", kernels.mm, input=lambda g, mat2: times(g, mat2.T), mat2=lambda g, input: times(input.T, g))
bmm = primitive(
    "bmm", kernels.bmm,
    input=lambda g, mat2, input_strides: times_like(g, mat2.mT, input_strides),
    mat2=lambda g, input, mat2_strides: times_like(input.mT, g, mat2_strides),
)  # fmt: skip
mv = primitive("mv", kernels.mv, input=lambda g, vec: reshape_to(g, (-1, 1)) * vec, vec=lambda g, input: input.T @ g)
dot = primitive("dot", kernels.dot, input=lambda g, tensor: g * tensor, tensor=lambda g, input: g * input)


@composite(alias=("ger",))
def outer(input, vec2):
    """The product of each element of one vector with each of another: a matrix."""
    if input.ndim != 1 or vec2.ndim != 1:
        which, rank = ("self", input.ndim) if input.ndim != 1 else ("vec2", vec2.ndim)
        raise RuntimeError(f"outer: Expected 1-D argument {which}, but got {rank}-D")
    return reshape_to(input, (-1, 1)) * vec2


batched_matmul = primitive(
    "matmul", kernels.matmul, node="UnsafeViewBackward0", **HIDDEN,
    input=lambda g, input_shape, input_strides, other, other_shape: left_gradient(
        g, input_shape, input_strides, other, other_shape
    ),
    other=lambda g, input, input_shape, other_shape, other_strides: right_gradient(
        g, input, input_shape, other_shape, other_strides
    ),
)  # fmt: skip


def left_gradient(g, input_shape, input_strides, other, other_shape):
    """g @ other^T, vectors taken as matrices of one row or column, batches that were broadcast summed."""
    if len(other_shape) == 1:
        full = reshape_to(g, (*g.shape, 1)) * other
    elif len(input_shape) == 1:
        full = reshape_to(g, (*g.shape[:-1], 1, g.shape[-1])) @ other.mT
        return sum_to(full, (1,) * (len(full.shape) - 1) + tuple(input_shape)).reshape(input_shape)
    else:
        full = times_like(g, other.mT, input_strides)
    return fitted(full, input_shape)


def right_gradient(g, input, input_shape, other_shape, other_strides):
    """input^T @ g, likewise."""
    if len(input_shape) == 1:
        full = reshape_to(input, (-1, 1)) * reshape_to(g, (*g.shape[:-1], 1, g.shape[-1]))
    elif len(other_shape) == 1:
        full = input.mT @ reshape_to(g, (*g.shape, 1))
        return sum_to(reshape_to(full, full.shape[:-1]), other_shape)
    else:
        full = times_like(input.mT, g, other_strides)
    return fitted(full, other_shape)


def fitted(x, shape):
    return x if tuple(x.shape) == tuple(shape) else sum_to(x, shape)


def _matmul(input, other):
    if not isinstance(other, Tensor) or not isinstance(input, Tensor):
        wrong = ("other", 2, other) if isinstance(input, Tensor) else ("input", 1, input)
        raise TypeError(
            f"matmul(): argument '{wrong[0]}' (position {wrong[1]}) must be Tensor, not {type(wrong[2]).__name__}"
        )
    ranks = input._array.ndim, other._array.ndim
    return BY_RANKS.get(ranks, batched_matmul), (input, other)


BY_RANKS = {(2, 2): mm, (1, 1): dot, (2, 1): mv}
matmul = choice("matmul", _matmul, inplace=False)


def _matmul_operator(self, other):
    if not isinstance(other, Tensor) and (isinstance(other, NUMBERS) or not hasattr(type(other), "__torch_function__")):
        return NotImplemented
    if (type(self) is Tensor or type(self) is Parameter) and (type(other) is Tensor or type(other) is Parameter):
        return BY_RANKS.get((self._array.ndim, other._array.ndim), batched_matmul).function(self, other)
    return matmul.function(self, other)


_matmul_operator.__name__ = "matmul"
Tensor.__matmul__ = _matmul_operator
Tensor.__rmatmul__ = lambda self, other: _matmul_operator(other, self) if isinstance(other, Tensor) else NotImplemented
Tensor.__imatmul__ = _matmul_operator
vdot = primitive(
    "vdot", kernels.vdot, holomorphic=False,
    input=lambda g, other: g.conj() * other, other=lambda g, input: g * input,
)  # fmt: skip


def _addmm(input, mat1, mat2, beta, alpha):
    return _added(input, kernels.mm(mat1, mat2), beta, alpha)


def _addmv(input, mat, vec, beta, alpha):
    return _added(input, kernels.mv(mat, vec), beta, alpha)


def _baddbmm(input, batch1, batch2, beta, alpha):
    return _added(input, kernels.bmm(batch1, batch2), beta, alpha)


def _added(input, result, beta, alpha):
    if input.dtype != result.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {type_name(input.dtype)} and {type_name(result.dtype)}"
        )
    if result.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        result *= alpha
    if beta == 1:
        result += input
    elif beta != 0:
        result += beta * input
    return result


addmm_op = primitive(
    "addmm", _addmm, **HIDDEN, input=lambda g, input_shape, beta: fitted(scaled(g, beta), input_shape),
    mat1=lambda g, mat2, alpha: scaled(times(g, mat2.T), alpha),
    mat2=lambda g, mat1, alpha: scaled(times(mat1.T, g), alpha),
)  # fmt: skip
addmv_op = primitive(
    "addmv", _addmv, **HIDDEN, input=lambda g, input_shape, beta: fitted(scaled(g, beta), input_shape),
    mat=lambda g, vec, alpha: scaled(reshape_to(g, (-1, 1)) * vec, alpha),
    vec=lambda g, mat, alpha: scaled(mat.T @ g, alpha),
)  # fmt: skip
baddbmm_op = primitive(
    "baddbmm", _baddbmm, **HIDDEN, input=lambda g, input_shape, beta: fitted(scaled(g, beta), input_shape),
    batch1=lambda g, batch2, alpha: scaled(times(g, batch2.mT), alpha),
    batch2=lambda g, batch1, alpha: scaled(times(batch1.mT, g), alpha),
)  # fmt: skip


def scaled(x, factor):
    return x if factor == 1 else x * factor


addmm = choice("addmm", lambda input, mat1, mat2, *, beta=1, alpha=1: (addmm_op, (input, mat1, mat2, beta, alpha)))
addmv = choice("addmv", lambda input, mat, vec, *, beta=1, alpha=1: (addmv_op, (input, mat, vec, beta, alpha)))
baddbmm = choice(
    "baddbmm", lambda input, batch1, batch2, *, beta=1, alpha=1: (baddbmm_op, (input, batch1, batch2, beta, alpha))
)  # fmt: skip


def _addbmm(input, batch1, batch2, beta, alpha):
    if input.dtype in halves.HALVES:  # PyTorch stores the sum after each product
        total, b = input, beta
        for left, right in zip(batch1, batch2, strict=True):
            total, b = addmm_op.kernel_in_float32(total, left, right, b, alpha), 1
        return total
    return _added(input, kernels.bmm(batch1, batch2).sum(0), beta, alpha)


def _addr(input, vec1, vec2, beta, alpha):
    if input.dtype.kind == "b":
        product = np.logical_and.outer(vec1, vec2) & bool(alpha)
        return product | (input & bool(beta)) if beta else product
    if alpha != 1:
        vec1 = vec1 * vec1.dtype.type(alpha)
    product = kernels.outer(vec1, vec2)
    common = promote_types(FROM_NUMPY[input.dtype], FROM_NUMPY[product.dtype]).numpy
    input, product = input.astype(common, copy=False), product.astype(common, copy=False)
    return _added(input, product, input.dtype.type(beta) if input.dtype.kind in "fcV" else beta, 1)


addbmm_op = primitive(
    "addbmm", _addbmm, **HIDDEN, input=lambda g, input_shape, beta: fitted(scaled(g, beta), input_shape),
    batch1=lambda g, batch2, alpha: scaled(times(g, batch2.mT), alpha),
    batch2=lambda g, batch1, alpha: scaled(times(batch1.mT, g), alpha),
)  # fmt: skip
addr_op = primitive(
    "addr", _addr, **HIDDEN, input=lambda g, input_shape, beta: fitted(scaled(g, beta), input_shape),
    vec1=lambda g, vec2, alpha: scaled(g @ vec2, alpha), vec2=lambda g, vec1, alpha: scaled(g.T @ vec1, alpha),
)  # fmt: skip
addbmm = choice(
    "addbmm", lambda input, batch1, batch2, *, beta=1, alpha=1: (addbmm_op, (input, batch1, batch2, beta, alpha)),
    doc="beta * input + alpha * the sum over the batch of the matrix products.",
)  # fmt: skip
addr = choice(
    "addr", lambda input, vec1, vec2, *, beta=1, alpha=1: (addr_op, (input, vec1, vec2, beta, alpha)),
    doc="beta * input + alpha * the outer product of two vectors.",
)  # fmt: skip
