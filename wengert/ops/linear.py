"""Linear and bilinear maps of the last dimension."""

import numpy as np

from wengert.autograd.graph import shown_edges
from wengert.errors import type_name
from wengert.kernels.matmul import c_name, of_halves, state, times
from wengert.kernels.sums import add_rows
from wengert.ops.declare import composite, primitive


def _linear(input, weight, bias=None):
    if (
        bias is not None
        and input.dtype is weight.dtype is bias.dtype
        and input.ndim == weight.ndim == 2
        and input.shape[1] == weight.shape[1]
        and bias.shape == weight.shape[:1]
        and input.dtype.itemsize > 2
    ):
        if state.active:
            return times(input, weight.T, bias)
        out = input.dot(weight.T)
        out += bias
        return out
    return _general(input, weight, bias)


def _general(input, weight, bias):
    if input.dtype != weight.dtype:
        if bias is None and input.ndim == 2:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {c_name(input.dtype)} != {c_name(weight.dtype)}"
            )
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {type_name(input.dtype)} and {type_name(weight.dtype)}"
        )
    if weight.ndim != 2:
        return _linear_of_vector(input, weight, bias)
    if input.ndim == 0:
        raise RuntimeError("both arguments to linear need to be at least 1D, but they are 0D and 2D")
    if input.shape[-1] != weight.shape[1]:
        rows = input.size // max(input.shape[-1], 1) if input.ndim > 1 else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{input.shape[-1]} and "
            f"{weight.shape[1]}x{weight.shape[0]})"
        )
    if input.dtype.itemsize == 2:
        return _half(input, weight, bias)
    if bias is not None:
        if bias.dtype != input.dtype:
            raise RuntimeError(
                f"self and mat2 must have the same dtype, but got {type_name(bias.dtype)} and {type_name(input.dtype)}"
            )
        extent = weight.shape[0]
        if bias.ndim > input.ndim or (bias.shape and bias.shape[-1] not in (1, extent)):
            raise RuntimeError(
                f"The expanded size of the tensor ({extent}) must match the existing size ({bias.shape[-1]}) at "
                f"non-singleton dimension {input.ndim - 1}.  Target sizes: {[*input.shape[:-1], extent]}.  "
                f"Tensor sizes: {list(bias.shape)}"
            )
    if input.ndim > 1:
        return times(input, weight.T, bias)
    out = input.dot(weight.T)
    return out if bias is None else out + bias


def _half(input, weight, bias):
    """16-bit floats (and integers) are multiplied and summed in 32 bits."""
    wide = np.int32 if input.dtype.kind == "i" else np.float32
    if bias is None or bias.shape == weight.shape[:1]:
        out = of_halves(input, weight.T, wide if bias is not None else input.dtype)
        if out is not None:
            return out if bias is None else (out + bias.astype(wide)).astype(input.dtype)
    out = _general(input.astype(wide), weight.astype(wide), None if bias is None else bias.astype(wide))
    return out.astype(input.dtype)


def _linear_of_vector(input, weight, bias):
    if weight.ndim != 1 or bias is not None:
        raise RuntimeError(f"mat2 must be a matrix, got {weight.ndim}-D tensor")
    if input.shape[-1:] != weight.shape:
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0] if input.ndim > 1 else 1}), mat "
            f"({'x'.join(map(str, input.shape))}), vec ({weight.shape[0]})"
        )
    return input @ weight


def to_input(g, weight):
    if weight.ndim == 1:
        return g.reshape((*g.shape, 1)) * weight
    return g @ weight


def to_weight(g, input, weight_shape):
    if len(weight_shape) == 1:
        return g.reshape((1, -1)).__matmul__(input.reshape((-1, weight_shape[0]))).reshape(weight_shape)
    if g.ndim == 2:
        return g.T @ input
    return g.reshape((-1, weight_shape[0])).T @ input.reshape((-1, weight_shape[1]))


def to_bias(g, bias_shape):
    if len(bias_shape) == 1 and g.ndim == 2 and bias_shape[0] == g.shape[1]:
        return g.sum(0)
    total = g.reshape((-1, g.shape[-1])).sum(0)
    return total if len(bias_shape) == 1 and bias_shape[0] == total.shape[0] else total.sum().reshape(bias_shape)


def _wide_times(a, b):
    """``a @ b``, 16-bit floats multiplied and summed in 32 bits."""
    if a.dtype.itemsize > 2:
        return times(a, b)
    return times(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)


def _weight_arrays(g, input, weight_shape):
    if len(weight_shape) == 1:
        return (g.reshape(1, -1) @ input.reshape(-1, weight_shape[0])).reshape(weight_shape)
    if g.ndim != 2:
        g, input = g.reshape(-1, weight_shape[0]), input.reshape(-1, weight_shape[1])
    return _wide_times(g.T, input)


def _input_arrays(g, weight):
    return g[..., None] * weight if weight.ndim == 1 else _wide_times(g, weight)


def _bias_arrays(g, bias_shape):
    total = add_rows(g if g.ndim == 2 else g.reshape(-1, g.shape[-1]))
    return total if bias_shape == total.shape else total.sum().reshape(bias_shape)


for _on_tensors, _on_arrays in ((to_input, _input_arrays), (to_weight, _weight_arrays), (to_bias, _bias_arrays)):
    _on_tensors._on_tensors, _on_tensors._on_arrays = True, _on_arrays

linear = primitive(
    "linear", _linear, function=False, method=False, namespace="nn.functional", node="AddmmBackward0",
    tensors=("input", "weight", "bias"), input=lambda g, weight: to_input(g, weight),
    weight=lambda g, input, weight_shape: to_weight(g, input, weight_shape),
    bias=lambda g, bias_shape: to_bias(g, bias_shape),
    doc="""input @ weight.T + bias.

    Args:
        input: (*, in_features).
        weight: (out_features, in_features), or (in_features,).
        bias: (out_features,) or None.

    Raises:
        RuntimeError: shapes or dtypes do not fit together.
    """,
)  # fmt: skip


def _bias_first(node):
    """Input, weight, bias as PyTorch's addmm shows them: the bias first, if there is one."""
    input, weight, bias = node.edges
    return shown_edges((input, weight) if bias is None else (bias, input, weight))


linear.next_functions = property(_bias_first)
linear.export(namespace="nn.functional", method=False)


@composite(method=False)
def bilinear(input1, input2, weight, bias=None):
    """out[*, o] = input1[*, i] weight[o, i, j] input2[*, j] + bias[o]."""
    if input1.ndim != input2.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError("bilinear(): input batch dimensions do not match")
    if weight.ndim != 3 or input1.shape[-1] != weight.shape[1]:
        raise RuntimeError(
            f"bilinear(): input1 size does not match weight size: got {input1.shape[-1]} but expected {weight.shape[1]}"
        )
    if input2.shape[-1] != weight.shape[2]:
        raise RuntimeError(
            f"bilinear(): input2 size does not match weight size: got {input2.shape[-1]} but expected {weight.shape[2]}"
        )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {weight.shape[0]}"
        )
    o, i, j = weight.shape
    first, second = input1.reshape(-1, i), input2.reshape(-1, j)
    out = (first.matmul(weight) * second).sum(-1).T.contiguous()
    if bias is not None:
        out = out + bias
    return out.reshape(*input1.shape[:-1], o)


bilinear.export(namespace="nn.functional", method=False)
