"""Activation functions of networks, each beside its derivative.

At a kink the derivative is the one PyTorch chose, mostly 0.
"""

import math

import numpy as np

from wengert import dtypes
from wengert.kernels import activation as kernels
from wengert.ops.declare import FUNCTIONS, composite, pointwise, primitive
from wengert.ops.flat import InplaceOnly, WithInplace
from wengert.ops.pointwise import chosen_by, erf, exp, relu, select, sigmoid, softplus, tanh, threshold
from wengert.ops.shape import concatenate, narrow_to
from wengert.tensor import wrap

HIDDEN = {"function": False, "method": False}

leaky_relu = pointwise(
    "leaky_relu", kernels.leaky_relu, **HIDDEN,
    input=lambda g, input, negative_slope: chosen_by(select(input > 0, g, g * negative_slope), input),
)  # fmt: skip
hardtanh = pointwise(
    "hardtanh", kernels.hardtanh, **HIDDEN,
    input=lambda g, input, min_val, max_val: chosen_by(select((input <= min_val) | (input >= max_val), 0, g), input),
)  # fmt: skip
elu = pointwise(
    "elu", kernels.elu, **HIDDEN,
    input=lambda g, input, alpha, scale, input_scale: elu_gradient(g, input, alpha, scale, input_scale),
)  # fmt: skip
celu_of = pointwise(
    "celu", kernels.elu, **HIDDEN,
    input=lambda g, input, alpha, scale, input_scale: elu_gradient(g, input, alpha, scale, input_scale),
)  # fmt: skip
gelu_erf = pointwise(
    "gelu", kernels.gelu, **HIDDEN, input=lambda g, input: g * (normal_cdf(input) + input * normal_pdf(input))
)
gelu_tanh = pointwise("gelu", kernels.gelu_tanh, **HIDDEN, input=lambda g, input: g * gelu_tanh_slope(input))
silu = pointwise("silu", kernels.silu, **HIDDEN, input=lambda g, input: g * silu_slope(input, sigmoid(input)))
mish = pointwise(
    "mish", kernels.mish, **HIDDEN, input=lambda g, input: g * mish_slope(input, tanh(softplus(input, 1.0, 20.0)))
)
hardswish = pointwise(
    "hardswish", kernels.hardswish, **HIDDEN,
    input=lambda g, input: select(input <= -3, 0, select(input < 3, g * (input / 3 + 0.5), g)),
)  # fmt: skip
hardsigmoid = pointwise(
    "hardsigmoid", kernels.hardsigmoid, **HIDDEN,
    input=lambda g, input: chosen_by(select((input > -3) & (input < 3), g / 6, 0), input),
)  # fmt: skip
hardshrink = pointwise(
    "hardshrink", kernels.hardshrink, inplace=False,
    input=lambda g, input, lambd: chosen_by(select((input >= -lambd) & (input <= lambd), 0, g), input),
)  # fmt: skip
softshrink = pointwise(
    "softshrink", kernels.softshrink, **HIDDEN, inplace=False,
    input=lambda g, input, lambd: chosen_by(select((input >= -lambd) & (input <= lambd), 0, g), input),
)  # fmt: skip
logsigmoid = pointwise(
    "log_sigmoid", kernels.logsigmoid, **HIDDEN, inplace=False, input=lambda g, input: g * sigmoid(-input)
)
prelu_kernel = pointwise(
    "prelu_kernel", kernels.prelu, **HIDDEN, inplace=False, tensors=("input", "weight"),
    input=lambda g, input, weight: chosen_by(select(input > 0, g, g * weight), input),
    weight=lambda g, input: select(input > 0, 0, g * input),
)  # fmt: skip
glu = primitive("glu", kernels.glu, **HIDDEN, input=lambda g, input, dim: glu_gradient(g, input, dim))


def elu_gradient(g, input, alpha, scale, input_scale):
    # where both sides are computed, the unchosen one must stay finite: a positive input's exponential does not count
    negative = select(input <= 0, input, 0)
    return select(input <= 0, g * (exp(negative * input_scale) * (alpha * scale * input_scale)), g * scale)


def normal_cdf(x):
    return 0.5 * (1 + erf(x * math.sqrt(0.5)))


def normal_pdf(x):
    return exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


for _on_tensors, _on_arrays in ((normal_cdf, kernels.normal_cdf), (normal_pdf, kernels.normal_pdf)):
    _on_tensors._on_tensors, _on_tensors._on_arrays = True, _on_arrays


def gelu_tanh_slope(x):
    scale = math.sqrt(2 / math.pi)
    t = tanh(scale * (x + 0.044715 * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (scale * (1 + 3 * 0.044715 * x * x))


def silu_slope(x, s):
    return s * (1 + x * (1 - s))


def mish_slope(x, t):
    return t + x * sigmoid(x) * (1 - t * t)


def glu_gradient(g, input, dim):
    half = input.shape[dim] // 2
    value, gate = narrow_to(input, dim, 0, half), sigmoid(narrow_to(input, dim, half, half))
    return concatenate([g * gate, g * value * gate * (1 - gate)], dim)


# --- functions that choose among these -------------------------------------------------------------------------------


@composite(namespace="nn.functional", method=False)
def gelu(input, *, approximate="none"):
    """x Φ(x), Φ being the normal distribution function, or its approximation by tanh (Hendrycks and Gimpel, 2016)."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return gelu_tanh(input) if approximate == "tanh" else gelu_erf(input)


@composite(method=True)
def prelu(input, weight):
    """max(0, x) + weight * min(0, x), with one weight or one for each channel (dimension 1)."""
    if weight.numel() != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if weight.numel() != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and "
                f"channel size = {channels}."
            )
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if input.dtype is not weight.dtype:
        names = dtypes.SCALAR_NAMES
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {names[input.dtype].lower()} and {names[weight.dtype].lower()}"
        )
    shape = [1] * input.ndim
    if input.ndim > 1:
        shape[1] = weight.numel()
    return prelu_kernel(input, weight.reshape(shape))


@composite(namespace="nn.functional", method=False, torch=True)
def softsign(input):
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


@composite(namespace="nn.functional", method=False)
def tanhshrink(input):
    """x - tanh(x)."""
    return input - input.tanh()


@composite(namespace="nn.functional", method=False)
def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """The softmax of -x."""
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return (-input).softmax(dim, dtype=dtype)


@composite(namespace="nn.functional", method=False, name="glu")
def checked_glu(input, dim=-1):
    """The first half of `dim` times the sigmoid of the second (Dauphin et al., 2017)."""
    if input.ndim and not -input.ndim <= dim < input.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], but got {dim})"
        )
    return glu(input, dim)


@composite(namespace="nn.functional", method=False)
def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample from the Gumbel-softmax distribution (Jang et al., 2017; Maddison et al., 2017), one-hot if `hard`."""
    noise = -_exponential_like(logits).log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    chosen = soft.max(dim, keepdim=True)[1]
    one_hot = (soft * 0).detach().scatter_(dim, chosen, 1.0)
    return one_hot - soft.detach() + soft  # the value of the one-hot vector, the gradient of the soft one


def _exponential_like(x):
    from wengert import empty_like

    return empty_like(x).exponential_()


def random_slopes(input, lower, upper):
    """1 for positive elements, a number drawn for each of the others, one after the other and in 64 bits."""
    from wengert import empty

    negative = input._array <= 0
    slopes = np.ones(negative.shape, input._array.dtype)
    drawn = empty(int(negative.sum()), dtype=dtypes.float64).uniform_(lower, upper)
    slopes[negative] = drawn._array.astype(slopes.dtype)
    return wrap(slopes)


@composite(namespace="nn.functional", method=False)
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """leaky_relu with a slope drawn between `lower` and `upper` for each negative element; their mean when not
    training."""
    if not lower <= upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if training:
        slopes = random_slopes(input, lower, upper)
        return input.mul_(slopes) if inplace else input * slopes
    run = leaky_relu.variant("inplace") if inplace else leaky_relu
    return run(input, (lower + upper) / 2)


# --- functions with an `inplace` argument ----------------------------------------------------------------------------


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

WITH_INPLACE = [
    WithInplace("relu", relu, doc="max(0, x)."),
    WithInplace("relu6", hardtanh, "", "0.0, 6.0", doc="min(max(0, x), 6)."),
    WithInplace("leaky_relu", leaky_relu, "negative_slope=0.01", doc="max(0, x) + negative_slope * min(0, x)."),
    WithInplace("hardtanh", hardtanh, "min_val=-1.0, max_val=1.0", doc="x kept between min_val and max_val."),
    WithInplace("elu", elu, "alpha=1.0", "alpha", doc="x, or alpha * (exp(x) - 1) if x < 0 (Clevert et al., 2016)."),
    WithInplace("selu", elu, "", f"{SELU_ALPHA}, {SELU_SCALE}", doc="Self-normalizing elu (Klambauer et al., 2017)."),
    WithInplace("celu", celu_of, "alpha=1.0", "alpha, 1.0, 1.0 / alpha",
                doc="x, or alpha * (exp(x / alpha) - 1) if x < 0 (Barron, 2017)."),
    WithInplace("silu", silu, doc="x * sigmoid(x) (Elfwing et al., 2017)."),
    WithInplace("mish", mish, doc="x * tanh(softplus(x)) (Misra, 2019)."),
    WithInplace("hardswish", hardswish, doc="x * min(max(x + 3, 0), 6) / 6 (Howard et al., 2019)."),
    WithInplace("hardsigmoid", hardsigmoid, doc="min(max(x + 3, 0), 6) / 6."),
    WithInplace("threshold", threshold, "threshold, value", doc="x where it is greater than threshold, else value."),
]  # fmt: skip

for _function in WITH_INPLACE:
    if _function.name in ("relu", "leaky_relu", "hardtanh", "elu", "selu", "celu", "threshold"):
        InplaceOnly(f"{_function.name}_", _function)

# PyTorch offers these under `torch` as well.
for _operation in (rrelu,):
    _operation.export(method=False)

# The argument-free ones need no function in between.
for _name, _operation in (("logsigmoid", logsigmoid), ("softshrink", softshrink), ("softplus", softplus)):
    FUNCTIONS["nn.functional"][_name] = _operation
    _operation.namespace, _operation.known_as = "nn.functional", _name
FUNCTIONS["nn.functional"]["_threshold"] = FUNCTIONS["nn.functional"]["threshold"]

# --- under `torch` itself, without the `inplace` argument -------------------------------------------------------------


def refuse_zero_alpha(alpha):
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")


@composite(method=False)
def celu(input, alpha=1.0):
    """`nn.functional.celu`."""
    refuse_zero_alpha(alpha)
    return celu_of(input, alpha, 1.0, 1.0 / alpha)


@composite(method=False)
def celu_(input, alpha=1.0):
    """`celu` in place."""
    refuse_zero_alpha(alpha)
    return celu_of.variant("inplace")(input, alpha, 1.0, 1.0 / alpha)


@composite(method=False)
def selu(input):
    """`nn.functional.selu`."""
    return elu(input, SELU_ALPHA, SELU_SCALE)


@composite(method=False)
def selu_(input):
    """`selu` in place."""
    return elu.variant("inplace")(input, SELU_ALPHA, SELU_SCALE)


@composite(method=False)
def threshold_(input, threshold, value):
    """`threshold` in place."""
    return WITH_INPLACE[-1](input, threshold, value, inplace=True)


@composite(method=False)
def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


rrelu_.export(namespace="nn.functional", method=False)
