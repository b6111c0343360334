"""Convolutions: one trilinear form, its three partial maps, and the functions of `torch.nn.functional` on top.

`correlate`, `correlate_data` and `correlate_weight` (see `wengert.kernels.convolution`) are each bilinear, and each
one's derivatives are the other two.  So all derivatives of all orders, of convolutions and of transposed
convolutions, are in the three declarations below.
"""

from functools import lru_cache

import numpy as np

from wengert import dtypes
from wengert.kernels import convolution as kernels
from wengert.kernels.convolution import transposed_output_size
from wengert.kernels.matmul import c_name
from wengert.ops.declare import Primitive, composite

# --- the three maps; what follows the tensors is one int per axis of space -------------------------------------------


def _correlate(x, w, space, stride, padding, dilation, groups):
    return kernels.correlate(
        x, w, None, stride=stride, padding=padding, dilation=dilation, groups=groups, out_space=space
    )  # fmt: skip


def _correlate_data(c, w, space, stride, padding, dilation, groups):
    return kernels.correlate_data(c, w, space, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _correlate_weight(c, x, window, stride, padding, dilation, groups):
    return kernels.correlate_weight(c, x, window, stride=stride, padding=padding, dilation=dilation, groups=groups)


correlate = Primitive(
    "correlate",
    _correlate,
    {
        "x": lambda g, w, x_shape, stride, padding, dilation, groups: correlate_data(
            g, w, x_shape[2:], stride, padding, dilation, groups
        ),
        "w": lambda g, x, w_shape, stride, padding, dilation, groups: correlate_weight(
            g, x, w_shape[2:], stride, padding, dilation, groups
        ),
    },
    node="ConvolutionBackward0",
)
correlate_data = Primitive(
    "correlate_data",
    _correlate_data,
    {
        "c": lambda g, w, c_shape, stride, padding, dilation, groups: correlate(
            g, w, c_shape[2:], stride, padding, dilation, groups
        ),
        "w": lambda g, c, w_shape, stride, padding, dilation, groups: correlate_weight(
            c, g, w_shape[2:], stride, padding, dilation, groups
        ),
    },
    node="ConvolutionBackwardBackward0",
)
correlate_weight = Primitive(
    "correlate_weight",
    _correlate_weight,
    {
        "c": lambda g, x, c_shape, stride, padding, dilation, groups: correlate(
            x, g, c_shape[2:], stride, padding, dilation, groups
        ),
        "x": lambda g, c, x_shape, stride, padding, dilation, groups: correlate_data(
            c, g, x_shape[2:], stride, padding, dilation, groups
        ),
    },
    node="ConvolutionBackwardBackward0",
)

# --- the operation that users meet -----------------------------------------------------------------------------------


def _convolve(
    input, weight, bias=None, stride=(1,), padding=(0,), dilation=(1,), transposed=False, output_padding=(0,), groups=1
):
    if not transposed:
        return kernels.correlate(
            input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
        )  # fmt: skip
    sizes = zip(input.shape[2:], weight.shape[2:], stride, padding, dilation, output_padding, strict=True)
    space = tuple(transposed_output_size(*along) for along in sizes)
    dtype = input.dtype
    if dtype.itemsize == 2:  # 16-bit floats: the bias too is added in 32 bits
        input, weight = input.astype(np.float32), weight.astype(np.float32)
    out = _correlate_data(input, weight, space, stride, padding, dilation, groups)
    if bias is not None:
        out += bias.reshape(-1, *(1,) * len(space)).astype(out.dtype, copy=False)
    return out.astype(dtype, copy=False)


def _to_input(g, weight, input_shape, stride, padding, dilation, transposed, groups):
    if transposed:
        return correlate(g, weight, input_shape[2:], stride, padding, dilation, groups)
    return correlate_data(g, weight, input_shape[2:], stride, padding, dilation, groups)


def _to_weight(g, input, weight_shape, stride, padding, dilation, transposed, groups):
    c, x = (input, g) if transposed else (g, input)
    return correlate_weight(c, x, weight_shape[2:], stride, padding, dilation, groups)


convolve = Primitive(
    "convolve",
    _convolve,
    {"input": _to_input, "weight": _to_weight, "bias": lambda g: g.sum((0, *range(2, g.ndim)))},
    tensors=("input", "weight", "bias"),
    node="ConvolutionBackward0",
)


@composite(method=False)
def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """Convolve or, if `transposed`, apply the transpose of a convolution; all extents given, one per axis of space."""
    options = check(input, weight, bias, stride, padding, dilation, groups, transposed, output_padding)
    return convolve(input, weight, bias, *options)


def check(input, weight, bias, stride, padding, dilation, groups, transposed=False, output_padding=0):
    """The options as the kernel takes them; raises what PyTorch raises where tensors and options don't fit together."""
    check_dtypes(input, weight, bias)
    given = (stride, padding, dilation, groups, transposed, output_padding)
    find = options_found if WRITTEN.issuperset(map(type, given)) else options_found.__wrapped__
    return find(input._array.shape, weight._array.shape, None if bias is None else bias._array.shape, *given)


WRITTEN = frozenset({int, tuple, bool})  # options that say the same whenever they are given


@lru_cache(maxsize=256)
def options_found(x, w, b, stride, padding, dilation, groups, transposed, output_padding):
    """`check` for shapes of input, weight and bias."""
    axes = len(w) - 2
    if axes < 1:
        raise RuntimeError("weight should have at least three dimensions")
    stride = per_axis("stride", stride, axes)
    padding = per_axis("padding", padding, axes)
    dilation = per_axis("dilation", dilation, axes)
    output_padding = per_axis("output_padding", output_padding, axes)
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(output_padding) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    check_shapes(x, w, b, groups, transposed)
    space, kernel = x[2:], w[2:]
    if transposed:
        if any(extra >= max(s, d) for extra, s, d in zip(output_padding, stride, dilation, strict=True)):
            raise RuntimeError(
                f"output padding must be smaller than either stride or dilation, but got output_padding: "
                f"{list(output_padding)} stride: {list(stride)} dilation: {list(dilation)}"
            )
        sizes = zip(space, kernel, stride, padding, dilation, output_padding, strict=True)
        out = [transposed_output_size(*along) for along in sizes]
        if min(out) <= 0:
            raise RuntimeError(
                f"Given input size per channel: {by(space)}. Calculated output size per channel: {by(out)}. "
                "Output size is too small"
            )
    else:
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        padded = [size + 2 * p for size, p in zip(space, padding, strict=True)]
        if any(size < needed for size, needed in zip(padded, reach, strict=True)):
            raise RuntimeError(
                f"Calculated padded input size per channel: {by(padded)}. Kernel size: {by(reach)}. "
                "Kernel size can't be greater than actual input size"
            )
    return stride, padding, dilation, bool(transposed), output_padding, groups


def check_shapes(x, w, b, groups, transposed):
    if len(x) != len(w):
        raise RuntimeError(
            f"Expected {len(w)}-dimensional input for {len(w)}-dimensional weight {list(w)}, but got "
            f"{len(x)}-dimensional "
            f"input of size {list(x)} instead"
        )
    if w[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(w)} instead"
        )
    if w[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size [{list(w)}] instead"
        )
    expected = w[0] if transposed else w[1] * groups
    if x[1] != expected:
        kind = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {kind}, weight of size {list(w)}, expected input{list(x)} to have {expected} channels, but got "
            f"{x[1]} channels instead"
        )
    filters = w[1] * groups if transposed else w[0]
    if b is not None and b != (filters,):
        kind = "transposed=1, weight" if transposed else "weight"
        raise RuntimeError(
            f"Given {kind} of size {list(w)}, expected bias to be 1-dimensional with {filters} elements, but got "
            f"bias of "
            f"size {list(b)} instead"
        )


def check_dtypes(input, weight, bias):
    names = dtypes.SCALAR_NAMES
    if bias is not None and bias.dtype is not input.dtype:
        given, other = c_name(input._array.dtype), c_name(bias._array.dtype)
        raise RuntimeError(f"Input type ({given}) and bias type ({other}) should be the same")
    if input.dtype is dtypes.bool_:
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")
    if input.dtype is not weight.dtype:
        raise RuntimeError(f"expected scalar type {names[input.dtype]} but found {names[weight.dtype]}")


def per_axis(name, value, axes):
    """One int for each of `axes` dimensions, from an int or a sequence of one or `axes` ints."""
    if type(value) is int:
        return (value,) * axes
    if not hasattr(value, "__len__"):
        try:
            return (value.__index__(),) * axes
        except AttributeError:
            raise TypeError(f"argument '{name}' must be tuple of ints, not {type(value).__name__}") from None
    if isinstance(value, str):
        raise TypeError(f"argument '{name}' must be tuple of ints, not str")
    if len(value) not in (1, axes):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {axes} values to match the convolution "
            f"dimensions, "
            f"but got {name}={list(value)}"
        )
    return tuple(value) if len(value) == axes else tuple(value) * axes


def by(sizes):
    """Extents as PyTorch writes them: (5 x 5)."""
    return f"({' x '.join(map(str, sizes))})"


# --- the functions, for one, two and three axes ----------------------------------------------------------------------


def batched(name, input, axes):
    """`input` with a batch dimension, and whether it had none; raises RuntimeError for other numbers of dimensions."""
    ndim = input._array.ndim
    if ndim == axes + 2:
        return input, False
    if ndim == axes + 1:
        return input.unsqueeze(0), True
    raise RuntimeError(
        f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {name}, but got input of size: "
        f"{list(input.shape)}"
    )


def forward(name, axes, input, weight, bias, stride, padding, dilation, groups):
    ndim = weight._array.ndim
    if ndim != axes + 2 and ndim > 2:
        per_axis("stride", (1,) * axes if type(stride) is int else stride, ndim - 2)
    input, single = batched(name, input, axes)
    if isinstance(padding, str):
        input, padding = padded_by_name(input, weight, stride, padding, dilation)
    out = convolve.function(input, weight, bias, *check(input, weight, bias, stride, padding, dilation, groups))
    return out.squeeze(0) if single else out


def padded_by_name(input, weight, stride, padding, dilation):
    """Resolve "valid" and "same"; where "same" is uneven, the input is padded at its end first."""
    axes = weight.ndim - 2
    if padding == "valid":
        return input, 0
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if max(per_axis("stride", stride, axes)) != 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(per_axis("dilation", dilation, axes), weight.shape[2:], strict=True)]
    if any(t % 2 for t in total):
        from wengert.ops.padding import constant_pad_nd

        ends = [extent for t in reversed(total) for extent in (0, t % 2)]
        input = constant_pad_nd(input, ends, 0)
    return input, tuple(t // 2 for t in total)


def transpose(name, axes, input, weight, bias, stride, padding, output_padding, groups, dilation):
    input, single = batched(name, input, axes)
    options = check(input, weight, bias, stride, padding, dilation, groups, True, output_padding)
    out = convolve.function(input, weight, bias, *options)
    return out.squeeze(0) if single else out


def declare_for(axes):
    """conv1d, conv2d, conv3d and their transposes differ in nothing but the number of axes."""
    name, transposed_name = f"conv{axes}d", f"conv_transpose{axes}d"

    def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        return forward(name, axes, input, weight, bias, stride, padding, dilation, groups)

    def conv_transpose(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        return transpose(transposed_name, axes, input, weight, bias, stride, padding, output_padding, groups, dilation)

    space = ", ".join(("depth", "height", "width")[-axes:])
    conv.__doc__ = f"""Slide filters over an image of {axes} dimensions.

    Args:
        input: (N, C, {space}) or (C, {space}).
        weight: (O, C/groups, *kernel).
        bias: (O,) or None.
        stride, dilation: an int or one per axis.
        padding: an int, one per axis, "valid" (none) or "same" (the result has the extent of the input).
        groups: channels are split into so many groups, convolved apart.

    Raises:
        RuntimeError: shapes, dtypes and options do not fit together.
    """
    conv_transpose.__doc__ = f"""The transpose of a convolution over {axes} dimensions: it upsamples where that strides.

    Args:
        input: (N, C, {space}) or (C, {space}).
        weight: (C, O/groups, *kernel).
        bias: (O,) or None.
        output_padding: extends the result at its end, to tell apart the extents that one stride maps together.
    """
    for function, public in ((conv, name), (conv_transpose, transposed_name)):
        operation = composite(function, name=public, method=False)
        operation.export(namespace="nn.functional", method=False)
        yield operation


conv1d, conv_transpose1d = declare_for(1)
conv2d, conv_transpose2d = declare_for(2)
conv3d, conv_transpose3d = declare_for(3)


@composite(method=False)
def conv_tbc(input, weight, bias, pad=0):
    """Convolution over a (time, batch, channels) sequence with a (kernel, in, out) weight."""
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


conv_tbc.export(namespace="nn.functional", method=False)
