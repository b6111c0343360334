"""Normalization: by batch, by layer, by group, by instance, by root mean square, by neighbouring channels, by length.

The first four standardize over different axes and then scale and shift by channel or by element; one kernel serves them
all (`wengert.kernels.normalization`).
"""

import math

import numpy as np

from wengert import dtypes
from wengert.autograd import views
from wengert.kernels import normalization as kernels
from wengert.ops.declare import composite, primitive
from wengert.tensor import wrap


def gradients(g, input, weight, mean, rstd, shape, axes, affine, fixed, eps, needs):
    """As `kernels.gradients`, on Tensors: what depends on the input is computed anew, so that it can be
    differentiated."""
    seen = input.reshape(shape)
    if fixed:
        mean, rstd = wrap(mean).to(input.dtype), wrap(rstd).to(input.dtype)
    else:
        mean = seen.mean(axes, True)
        rstd = ((seen - mean).square().mean(axes, True) + eps).rsqrt()
    standard = (seen - mean) * rstd
    over = tuple(a for a in range(input.ndim) if kernels.affine_axis(affine, input.ndim, a) == 1)
    d_input = d_weight = d_bias = None
    if needs[1]:
        product = g * standard.reshape(input.shape)
        d_weight = (product.sum(over) if over else product).reshape(weight.shape)
    if needs[2]:
        total = g.sum(over) if over else g
        d_bias = total.reshape(kernels.shape_of_bias(weight, input.ndim, axes, affine))
    if needs[0]:
        along = (g if weight is None else g * weight.reshape(affine)).reshape(shape)
        if not fixed:
            along = along - along.mean(axes, True) - standard * (along * standard).mean(axes, True)
        d_input = (along * rstd).reshape(input.shape)
    return d_input, d_weight, d_bias


gradients._on_tensors = True
gradients._on_arrays = kernels.gradients


def by_given_statistics(
    input, weight=None, bias=None, mean=None, rstd=None, shape=None, axes=(), affine=(), fixed=False, eps=0.0
):
    """`eps`, which is in `rstd` already, is for the derivatives alone."""
    return kernels.normalize(input, weight, bias, mean, rstd, shape, axes, affine, fixed)


def declare(name, kernel, node, joint, **options):
    return primitive(
        name, kernel, function=False, method=False, node=node, joint=joint, joint_of=("input", "weight", "bias"),
        **options,
    )  # fmt: skip


by_batch = declare(
    "normalize", by_given_statistics, "NativeBatchNormBackward0",
    lambda g, input, weight, mean, rstd, shape, axes, affine, fixed, eps, needs: gradients(
        g, input, weight, mean, rstd, shape, axes, affine, fixed, eps, needs
    ),
)  # fmt: skip


def by_own_statistics(node, dense=False):
    return declare(
        "standardize", kernels.standardize, node,
        lambda g, input, weight, mean, rstd, shape, axes, affine, eps, needs: gradients(
            g, input, weight, mean, rstd, shape, axes, affine, False, eps, needs
        ),
        residuals=("mean", "rstd"), dense=dense,
    )  # fmt: skip


by_layer = by_own_statistics("NativeLayerNormBackward0", dense=True)
by_group = by_own_statistics("NativeGroupNormBackward0")


def floating(name, input):
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtypes.SCALAR_NAMES[input.dtype]}'")


# --- by batch and by instance ----------------------------------------------------------------------------------------


@composite(namespace="nn.functional", method=False)
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Standardize each channel over batch and space (Ioffe and Szegedy, 2015).

    Args:
        input: (N, C, *space).
        running_mean, running_var: (C,) or None; updated in place when training, used otherwise.
        weight, bias: (C,) or None.
        momentum: the share of the new statistics in the running ones.
    """
    shape = input._array.shape
    ndim, size = len(shape), input._array.size
    if training and size // max(shape[1] if ndim > 1 else 1, 1) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if not size:
        return empty_norm(input, weight, bias)
    check_channels(input, running_mean, running_var, weight, bias)
    one_dtype(input, weight, bias, running_mean, running_var)
    floating("batch_norm", input)
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    axes = (0, *range(2, ndim))
    affine = (1, shape[1], *(1,) * (ndim - 2))
    if not training:
        mean = kernels.wide(running_mean._array).reshape(affine)
        rstd = kernels.reciprocal_root(kernels.wide(running_var._array).reshape(affine), eps)
        return by_batch.function(input, weight, bias, mean, rstd, shape, axes, affine, True, eps)
    stored = half_parameters(input, weight, bias, running_mean, running_var)
    mean, variance, rstd = kernels.channel_statistics(input._array, shape, axes, eps, stored)
    count = size // max(shape[1], 1)
    update(running_mean, mean.reshape(-1), momentum)
    update(running_var, variance.reshape(-1) * (count / max(count - 1, 1)), momentum)
    return by_batch.function(input, weight, bias, mean, rstd, shape, axes, affine, False, eps)


def half_parameters(input, *parameters):
    """The dtype in which statistics are stored if that has 16 bits: the input's, unless a parameter is wider."""
    if not input.dtype.is_half or any(p is not None and not p.dtype.is_half for p in parameters):
        return None
    return input.dtype.numpy


def empty_norm(input, weight, bias):
    """Nothing to normalize, but the parameters stay in the graph."""
    out = input.clone()
    out = out if weight is None else out * weight.sum()
    return out if bias is None else out + bias.sum()


def update(running, new, momentum):
    """Move a running average towards a new value."""
    if running is not None:
        array = running._array
        array *= 1 - momentum
        array += momentum * new.astype(array.dtype, copy=False)
        views.bump(running)


def check_channels(input, running_mean, running_var, weight, bias):
    shape = input._array.shape
    if len(shape) < 2:
        raise ValueError(f"expected at least 2D input (got {len(shape)}D input)")
    channels = shape[1]
    given = (running_mean, running_var, weight, bias)
    for place, value in enumerate(given):
        if value is not None and value._array.size != channels:
            name = ("running_mean", "running_var", "weight", "bias")[place]
            raise RuntimeError(f"{name} should contain {channels} elements not {value._array.size}")


@composite(namespace="nn.functional", method=False)
def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Standardize each channel of each image (Ulyanov et al., 2016)."""
    input, shape = input.contiguous(), tuple(input.shape)
    if use_input_stats:
        if len(shape) < 3 or math.prod(shape[2:]) == 1:
            raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    elif running_mean is None or running_var is None:
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    check_channels(input, running_mean, running_var, weight, bias)
    floating("batch_norm", input)
    axes, affine = tuple(range(2, len(shape))), (1, shape[1], *(1,) * (len(shape) - 2))
    if not use_input_stats:
        mean = kernels.wide(running_mean._array).reshape(affine)
        rstd = kernels.reciprocal_root(kernels.wide(running_var._array).reshape(affine), eps)
        return by_batch.function(input, weight, bias, mean, rstd, shape, axes, affine, True, eps)
    stored = half_parameters(input, weight, bias, running_mean, running_var)
    mean, variance, rstd = kernels.channel_statistics(input._array, shape, axes, eps, stored)
    count = math.prod(shape[2:])
    update(running_mean, mean.mean(0).reshape(-1), momentum)
    update(running_var, variance.mean(0).reshape(-1) * (count / max(count - 1, 1)), momentum)
    return by_batch.function(input, weight, bias, mean, rstd, shape, axes, affine, False, eps)


# --- by layer and by group -------------------------------------------------------------------------------------------


def trailing(normalized_shape, input, weight, bias, comma=", "):
    """The normalized shape as a tuple; raises RuntimeError unless it is the end of the input's, and that of the
    parameters."""
    normalized = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    ends_so = normalized and input._array.shape[-len(normalized) :] == normalized
    if ends_so and (weight is None or weight._array.shape == normalized) and (
        bias is None or bias._array.shape == normalized
    ):
        return normalized
    if not normalized:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            f"normalized_shape = {list(normalized)}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value._array.shape != normalized:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(value.shape)} and "
                f"normalized_shape = {list(normalized)}"
            )
    wanted = comma + ", ".join(map(str, normalized))
    raise RuntimeError(
        f"Given normalized_shape={list(normalized)}, expected input with shape [*{wanted}], but got input of size"
        f"{list(input.shape)}"
    )


def one_dtype(input, *parameters):
    """Refuse parameters of another dtype than the input's; 16-bit inputs may come with parameters of 32 bits."""
    for parameter in parameters:
        if parameter is None or parameter.dtype is input.dtype:
            continue
        if parameter.dtype is not dtypes.float32:
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        if input.dtype.itemsize != 2:
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")


@composite(namespace="nn.functional", method=False)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Standardize over the last dimensions (Ba et al., 2016); weight and bias have their shape."""
    normalized = trailing(normalized_shape, input, weight, bias)
    one_dtype(input, weight, bias)
    floating("LayerNormKernelImpl", input)
    shape = input._array.shape
    axes = tuple(range(len(shape) - len(normalized), len(shape)))
    return by_layer.function(input, weight, bias, shape, axes, normalized, eps)


@composite(namespace="nn.functional", method=False)
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Standardize each group of channels of each image (Wu and He, 2018); weight and bias (C,)."""
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    shape = tuple(input.shape)
    n, channels = shape[:2]
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and "
            f"num_groups={num_groups}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value.shape) != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape "
                f"{list(value.shape)} and input of shape {list(shape)}"
            )
    one_dtype(input, weight, bias)
    size = math.prod(shape[2:]) * (channels // num_groups)
    if n * size == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    floating("GroupNormKernelImpl", input)
    affine = (1, channels, *(1,) * (len(shape) - 2))
    return by_group.function(input, weight, bias, (n, num_groups, size), (2,), affine, eps)


@composite(namespace="nn.functional", method=False)
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divide by the root mean square over the last dimensions (Zhang and Sennrich, 2019)."""
    normalized = trailing(normalized_shape, input, weight, None, comma="")
    axes = tuple(range(input.ndim - len(normalized), input.ndim))
    half = input.dtype.itemsize == 2
    x = input.to(dtypes.float32) if half else input
    if eps is None:
        eps = float(np.finfo(x.dtype.to_real().numpy).eps)
    out = x * ((x * x).mean(axes, True) + eps).rsqrt()
    out = out.to(input.dtype) if half else out
    return out if weight is None else out * weight


@composite(namespace="nn.functional", method=False)
def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide each channel by a power of the mean square of its neighbours (Krizhevsky et al., 2012)."""
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if not input.numel():
        return input
    from wengert.ops.padding import constant_pad_nd

    flat = (input * input).reshape(input.shape[0], input.shape[1], -1)
    padded = constant_pad_nd(flat, [0, 0, size // 2, (size - 1) // 2], 0)
    channels = input.shape[1]
    total = padded[:, :channels]
    for offset in range(1, size):
        total = total + padded[:, offset : offset + channels]
    mean = total / size if total.dtype.differentiable else total.div(size, rounding_mode="trunc")
    return input / (mean.reshape(input.shape) * alpha + k) ** beta


@composite(namespace="nn.functional", method=False)
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Divide by the p-norm along `dim`, or by `eps` if that is greater."""
    length = input.norm(p, dim, True).clamp_min(eps).expand_as(input)
    if out is None:
        return input / length
    from wengert import div

    return div(input, length, out=out)


# --- under `torch` itself, with the arguments of the operations beneath ----------------------------------------------


@composite(method=False, name="batch_norm")
def torch_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled):
    """`nn.functional.batch_norm` with its arguments in the order of `torch.batch_norm`."""
    return batch_norm.kernel(input, running_mean, running_var, weight, bias, training, momentum, eps)


@composite(method=False, name="instance_norm")
def torch_instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled):
    """`nn.functional.instance_norm` with its arguments in the order of `torch.instance_norm`."""
    return instance_norm.kernel(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@composite(method=False, name="layer_norm")
def torch_layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """`nn.functional.layer_norm`."""
    return layer_norm.kernel(input, normalized_shape, weight, bias, eps)


@composite(method=False, name="group_norm")
def torch_group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """`nn.functional.group_norm`."""
    return group_norm.kernel(input, num_groups, weight, bias, eps)


rms_norm.export(method=False)
