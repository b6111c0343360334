"""Activation functions on arrays. 16-bit floats are computed in 32 bits; integers are refused, as PyTorch refuses
them."""

import functools

import numpy as np

from wengert.dtypes import FROM_NUMPY, SCALAR_NAMES
from wengert.kernels.pointwise import erf, limited, sigmoid

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def floating(name, also=""):
    """Decorate a kernel that takes floats (and dtypes of a kind in `also`); `name` is what PyTorch's refusal calls
    it."""

    def decorate(kernel):
        @functools.wraps(kernel)
        def run(input, *rest):
            dtype = input.dtype
            if dtype is F32 or dtype is F64 or dtype.kind in also:
                return kernel(input, *rest)
            known = FROM_NUMPY[dtype]
            if not known.is_floating_point:
                raise NotImplementedError(f"\"{name}\" not implemented for '{SCALAR_NAMES[known]}'")
            if dtype.itemsize > 2:
                return kernel(input, *rest)
            wide = (x.astype(F32) if isinstance(x, np.ndarray) else x for x in rest)
            return kernel(input.astype(F32), *wide).astype(dtype)

        return run

    return decorate


@floating("leaky_relu_cpu")
def leaky_relu(input, negative_slope=0.01):
    return np.where(input > 0, input, input * negative_slope)


def hardtanh(input, min_val=-1.0, max_val=1.0):
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    known = FROM_NUMPY[input.dtype]
    if known.name == "bool":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if known.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    if not known.is_signed and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if known.category < 2:
        min_val, max_val = int(min_val), int(max_val)
    return limited(input, min_val, max_val)


@floating("elu_cpu")
def elu(input, alpha=1.0, scale=1.0, input_scale=1.0):
    negative = np.expm1(np.minimum(input, 0) * input_scale) * (alpha * scale)
    return np.where(input < 0, negative, input * scale if scale != 1 else input)


def normal_cdf(x):
    return 0.5 * (1 + erf(x * 0.7071067811865476))


def normal_pdf(x):
    return np.exp(-0.5 * x * x) * 0.3989422804014327


@floating("GeluKernelImpl")
def gelu(input):
    return input * normal_cdf(input)


@floating("GeluKernelImpl")
def gelu_tanh(input):
    inner = 0.7978845608028654 * (input + 0.044715 * input * input * input)
    return 0.5 * input * (1 + np.tanh(inner))


@floating("silu_cpu", also="c")
def silu(input):
    z = np.exp(-input)
    return input / (1 + z)


@floating("mish_cpu")
def mish(input):
    return input * np.tanh(np.log1p(np.exp(input)))


@floating("hardswish_cpu")
def hardswish(input):
    return input * (limited(input + 3, 0, 6) / 6)


@floating("hardsigmoid_cpu")
def hardsigmoid(input):
    return limited(input + 3, 0, 6) / 6


@floating("hardshrink_cpu")
def hardshrink(input, lambd=0.5):
    return np.where((input >= -lambd) & (input <= lambd), 0, input)


@floating("softshrink_cpu")
def softshrink(input, lambd=0.5):
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return input - limited(input, -lambd, lambd)


@floating("log_sigmoid_cpu")
def logsigmoid(input):
    return np.minimum(input, 0) - np.log1p(np.exp(-np.abs(input)))


@floating("glu_cpu")
def glu(input, dim=-1):
    if not input.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    if input.shape[dim] % 2:
        dim %= input.ndim
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
    half, before = input.shape[dim] // 2, (slice(None),) * (dim % input.ndim)
    return input[(*before, slice(half))] * sigmoid(input[(*before, slice(half, None))])


@floating("prelu_cpu")
def prelu(input, weight):
    return np.where(input > 0, input, input * weight)
