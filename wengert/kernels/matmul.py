"""Products of matrices and vectors, on BLAS through NumPy. Half precision is computed in single precision."""

import numpy as np

from wengert.kernels.choices import FROM, offered, state
from wengert.kernels.copies import LARGE


def times(a, b, bias=None, out=None):
    """``a @ b + bias`` for arrays of at least one dimension, in `out` if given; large ones by a fast kernel."""
    if state.active and a.ndim > 1 < b.ndim:
        fast = offered("matmul.times", a.size * b.shape[-1], a, b, bias, out)
        if fast is not None:
            return fast
    if b.ndim != 2 or out is not None or not a.size:
        out = np.matmul(a, b, out)
    elif a.ndim <= 2:
        out = a.dot(b)  # a third of the overhead of `matmul`
    else:
        out = a.reshape(-1, a.shape[-1]).dot(b).reshape(*a.shape[:-1], b.shape[1])
    if bias is not None:
        out += bias
    return out


def times_like(a, b, strides):
    """``a @ b``, a large one in memory in the order of an array with these strides.

    The gradient of an operand that is seen otherwise than it lies (heads beside each other, a matrix transposed) then
    need not be moved when the way it is seen is undone.
    """
    ndim = len(strides)
    if not state.active or a.size < (FROM or LARGE) or not a.ndim == b.ndim == ndim or a.shape[:-2] != b.shape[:-2]:
        return times(a, b)
    axes = sorted(range(ndim), key=lambda axis: -strides[axis])
    if axes == list(range(ndim)) or 0 in strides or a.dtype.kind != "f" or a.dtype is not b.dtype:
        return times(a, b)
    shape = (*a.shape[:-1], b.shape[-1])
    out = np.empty([shape[axis] for axis in axes], a.dtype).transpose([axes.index(axis) for axis in range(ndim)])
    if axes[-1] == ndim - 2:
        times(b.swapaxes(-1, -2), a.swapaxes(-1, -2), None, out.swapaxes(-1, -2))
    else:
        times(a, b, None, out)
    return out


def of_halves(a, b, dtype):
    """``a @ b`` of 16-bit floats, summed in 32 bits, in this dtype; None unless there is a fast kernel."""
    if not state.active or a.ndim < 2 or b.ndim < 2:
        return None
    return offered("matmul.of_halves", a.size * b.shape[-1], a, b, dtype)


def product(a, b):
    """``a @ b`` with the result in the dtype of `a`."""
    dtype = a.dtype
    if dtype is not b.dtype and dtype != b.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {c_name(dtype)} != {c_name(b.dtype)}")
    if dtype.itemsize == 2 and dtype.kind in "fV":
        fast = of_halves(a, b, dtype)
        if fast is not None:
            return fast
        a, b = a.astype(np.float32), b.astype(np.float32)
        return np.asarray(times(a, b) if a.ndim > 1 else np.matmul(a, b)).astype(dtype)
    if dtype.kind == "b":
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    return times(a, b) if a.ndim > 1 else np.matmul(a, b)


def c_name(dtype):
    """The C++ name PyTorch uses for a dtype in a few sentences."""
    return {"float32": "float", "float64": "double", "int64": "long int", "int32": "int", "float16": "c10::Half",
            "bfloat16": "c10::BFloat16", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
            "int16": "short", "int8": "signed char", "uint8": "unsigned char",
            "bool": "bool"}.get(dtype.name, dtype.name)  # fmt: skip


def mm(input, mat2):
    if input.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if mat2.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    if input.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({input.shape[0]}x{input.shape[1]} and "
            f"{mat2.shape[0]}x{mat2.shape[1]})"
        )
    return product(input, mat2)


def bmm(input, mat2):
    if input.ndim != 3:
        raise RuntimeError("batch1 must be a 3D tensor")
    if mat2.ndim != 3:
        raise RuntimeError("batch2 must be a 3D tensor")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{input.shape[0]}, {input.shape[2]}] but "
            "got: "
            f"[{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    return product(input, mat2)


def mv(input, vec):
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {vec.ndim}, {input.ndim}, {vec.ndim}")
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0]}), mat ({input.shape[0]}x{input.shape[1]}), vec "
            f"({vec.shape[0]})"
        )
    return product(input, vec)


def dot(input, tensor):
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input.dtype != tensor.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {c_name(input.dtype)} and "
            f"{c_name(tensor.dtype)}"
        )
    if input.shape != tensor.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{input.shape[0]}] and src [{tensor.shape[0]}] to have the "
            "same number of "
            f"elements, but got {input.shape[0]} and {tensor.shape[0]} elements respectively"
        )
    return np.asarray(product(input, tensor))


def vdot(input, other):
    return dot(np.conjugate(input), other)


def outer(input, vec2):
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(
            f"outer: Expected 1-D argument {'self' if input.ndim != 1 else 'vec2'}, but got "
            f"{max(input.ndim, vec2.ndim)}-D"
        )
    return np.multiply.outer(input, vec2)


def matmul(input, other):
    """The general product: batches broadcast, vectors on either side."""
    if input.ndim == 0 or other.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {input.ndim}D and {other.ndim}D"
        )
    inner = other.shape[-2] if other.ndim > 1 else other.shape[0]
    if input.shape[-1] != inner:
        rows = int(np.prod(input.shape[:-1], dtype=int))
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{input.shape[-1]} and {inner}x{other.shape[-1]})"
            if other.ndim <= 2
            else f"Expected size for first two dimensions of batch2 tensor to be: [{other.shape[0]}, "
            f"{input.shape[-1]}] but got: "
            f"[{other.shape[0]}, {inner}]."
        )
    return product(input, other)
