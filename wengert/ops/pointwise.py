"""Functions of corresponding elements, each beside its derivative.

`g` is the gradient of the result; a formula's other parameters are what it needs. Where PyTorch chooses a value at a
kink
(0 at the corners of relu and abs, halves at the ties of maximum), so do these.
"""

import math

import numpy as np

from wengert.dtypes import SCALAR_NAMES, bool_, complex128, float64, of_scalar, result_type_of, uint8
from wengert.kernels import pointwise as kernels
from wengert.ops.declare import attach, choice, composite, convert, pointwise
from wengert.ops.emit import NUMBERS
from wengert.tensor import Tensor

LN2, LN10, PI = math.log(2), math.log(10), math.pi
HIDDEN = {"function": False, "method": False, "inplace": False}

zeros_of = pointwise("zeros_like", kernels.zeros_like, **HIDDEN)


def refuse_bools(values):
    """Subtraction has no meaning for truth values, and PyTorch gives it none."""
    bools = [isinstance(x, bool) or (isinstance(x, Tensor) and x.dtype is bool_) for x in list(values.values())[:2]]
    if all(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator "
            "instead."
        )
    if any(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the "
            "`~` or `logical_not()` operator instead."
        )


# --- arithmetic -------------------------------------------------------------------------------------------------------

plain_add = pointwise("add", np.add, input=lambda g: g, other=lambda g: g, **HIDDEN)
plain_sub = pointwise("sub", np.subtract, check=refuse_bools, input=lambda g: g, other=lambda g: -g, **HIDDEN)
scaled_add = pointwise("add", kernels.add_scaled, input=lambda g: g, other=lambda g, alpha: g * alpha, **HIDDEN)
scaled_sub = pointwise(
    "sub", kernels.sub_scaled, check=refuse_bools, input=lambda g: g, other=lambda g, alpha: -alpha * g, **HIDDEN
)
plain_rsub = pointwise(
    "rsub", kernels.rsub, node="RsubBackward0", scalar_node="RsubBackward1", check=refuse_bools,
    input=lambda g: -g, other=lambda g: g, **HIDDEN,
)  # fmt: skip
mul = pointwise(
    "mul", np.multiply, input=lambda g, other: g * other, other=lambda g, input: g * input, alias=("multiply",)
)
true_div = pointwise(
    "div", np.true_divide, promote="float",
    input=lambda g, other: g / other, other=lambda g, input, other: -g * ((input / other) / other), **HIDDEN,
)  # fmt: skip
ROUNDED = {
    "node": "DivBackward2", "scalar_node": "DivBackward3", **HIDDEN,
    "input": lambda g: zeros_of(g), "other": lambda g: zeros_of(g),
}  # fmt: skip
floor_div = pointwise("div", kernels.floor_divide, **ROUNDED)
trunc_div = pointwise("div", kernels.trunc_divide, **ROUNDED)
floor_divide = pointwise(
    "floor_divide", kernels.floor_divide, node="NotImplemented", integers=True,
    input=lambda g: undifferentiated("floor_divide"), other=lambda g: undifferentiated("floor_divide"),
)  # fmt: skip
remainder = pointwise(
    "remainder", kernels.remainder, node="RemainderBackward1", scalar_node="RemainderBackward0", integers=True,
    input=lambda g: g, other=lambda g, input, other: -g * floor_div(input, other),
)  # fmt: skip
fmod = pointwise(
    "fmod", kernels.fmod, numbers=("other",), node="FmodBackward1", scalar_node="FmodBackward0",
    input=lambda g: g, other=lambda g, input, other: -g * trunc(input / other),
)  # fmt: skip


def refuse_fractions(values):
    """An integer to a negative number as power would be a fraction."""
    input, exponent = values["input"], values["exponent"]
    integral = isinstance(input, Tensor) and not input.dtype.differentiable
    if integral and isinstance(exponent, int) and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


pow = pointwise(
    "pow", kernels.pow, node="PowBackward1", scalar_node="PowBackward0", tensors=("input", "exponent"),
    check=refuse_fractions,
    input=lambda g, input, exponent: power_gradient(g, input, exponent),
    exponent=lambda g, input, exponent, out: exponent_gradient(g, input, exponent, out),
)  # fmt: skip


def tensor_first(name, input):
    """`input`, which must be a tensor (in a derivative: an array) where its partner may be a number."""
    if not isinstance(input, (Tensor, np.ndarray, np.generic)) and not hasattr(type(input), "__torch_function__"):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input


float_power = choice(
    "float_power", lambda input, exponent: (pow, (_double(input), _double(exponent))), inplace=False,
)  # fmt: skip


def _float_power_in_place(input, exponent):
    wanted = complex128 if input.dtype.is_complex or is_complex_exponent(exponent) else float64
    if input.dtype is not wanted:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {name_of(input)} but the operation's result requires dtype "
            f"{SCALAR_NAMES[wanted]}"
        )
    return pow, (input, _double(exponent))


choice("float_power", _float_power_in_place, function=False, method=False)


def is_complex_exponent(exponent):
    return exponent.dtype.is_complex if isinstance(exponent, Tensor) else isinstance(exponent, complex)


def _double(x):
    if not isinstance(x, Tensor):
        return complex(x) if isinstance(x, complex) else float(x)
    return x.to(complex128 if x.dtype.is_complex else float64)


def _scaled(plain, scaled):
    def choose(input, other, *, alpha=1):
        if alpha == 1 and alpha is not True:
            return plain, (input, other)
        refuse_fraction(input, other, alpha)
        return scaled, (input, other, alpha)

    return choose


def refuse_fraction(input, other, alpha):
    """A multiplier must be of no higher kind than what it multiplies."""
    if type(alpha) in (int, float) and type(input) is Tensor and input.dtype.is_floating_point:
        return
    kinds = [x.dtype.category for x in (input, other) if isinstance(x, Tensor)]
    highest = max([*kinds, *(2 for x in (input, other) if isinstance(x, float)), 0])
    if isinstance(alpha, bool) and highest > 0:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and highest < 2:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, complex) and highest < 3:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")


def _divide(input, other, *, rounding_mode=None):
    if rounding_mode is None:
        return true_div, (input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return (floor_div if rounding_mode == "floor" else trunc_div), (input, other)


add = choice("add", _scaled(plain_add, scaled_add), usual=plain_add)
sub = choice("sub", _scaled(plain_sub, scaled_sub), usual=plain_sub, alias=("subtract",))
div = choice("div", _divide, usual=true_div, alias=("divide",))
true_divide = choice("true_divide", lambda input, other: (true_div, (input, other)))
rsub = choice(
    "rsub", lambda input, other, *, alpha=1: (plain_rsub,
                                              (tensor_first("rsub", input), other)) if alpha == 1 else (scaled_sub,
                                                                                                        (other,
                                                                                                         input, alpha)),
    inplace=False, method=False,
)  # fmt: skip
plain_addcmul = pointwise(
    "addcmul", kernels.addcmul, tensors=("input", "tensor1", "tensor2"), **HIDDEN, input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * (tensor2 * value), tensor2=lambda g, tensor1, value: g * (tensor1 * value),
)  # fmt: skip


def refuse_integer_division(values):
    """What used to be an integer division would silently become another."""
    if not any(values[name].dtype.differentiable for name in ("tensor1", "tensor2")):
        raise kernels.integer_addcdiv()


plain_addcdiv = pointwise(
    "addcdiv", kernels.addcdiv, tensors=("input", "tensor1", "tensor2"), check=refuse_integer_division, **HIDDEN,
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * (value / tensor2),
    tensor2=lambda g, tensor1, tensor2, value: -g * (value * tensor1 / (tensor2 * tensor2)),
)  # fmt: skip
addcmul = choice(
    "addcmul", lambda input, tensor1, tensor2, *, value=1: (plain_addcmul, (input, tensor1, tensor2, value)),
    doc="input + value * tensor1 * tensor2.",
)  # fmt: skip
addcdiv = choice(
    "addcdiv", lambda input, tensor1, tensor2, *, value=1: (plain_addcdiv, (input, tensor1, tensor2, value)),
    doc="input + value * tensor1 / tensor2.",
)  # fmt: skip


def undifferentiated(name):
    """PyTorch records these, and refuses when their gradient is asked for."""
    raise NotImplementedError(f"the derivative for '{name}' is not implemented.")


def power_gradient(g, input, exponent):
    """exponent * input ** (exponent - 1), and 0 where the exponent is 0, even at input 0."""
    if isinstance(exponent, (int, float, complex)):
        if exponent == 0:
            return zeros_of(g)
        if exponent == 2 and not getattr(
            input, "requires_grad", False
        ):  # else 2 * x**1, whose derivatives never run out
            return g * (2 * input)
        return g * (exponent * pow(input, exponent - 1))
    return select(exponent == 0, zeros_of(g), g * (exponent * pow(input, exponent - 1)))


def exponent_gradient(g, input, exponent, out):
    """out * log(input), and 0 at input 0 with a non-negative exponent."""
    flat = input == 0
    if not is_complex(exponent):
        flat = flat & (exponent >= 0)
    return g * select(flat, zeros_of(out), out * log(input))


def is_complex(x):
    return getattr(x.dtype, "is_complex", None) or getattr(x.dtype, "kind", "") == "c"


# --- one argument -----------------------------------------------------------------------------------------------------

neg = pointwise("neg", np.negative, input=lambda g: -g, alias=("negative",))
abs = pointwise(
    "abs", kernels.absolute, promote="real", inplace=False, node="AbsBackward0", holomorphic=False, alias=("absolute",),
    input=lambda g, input: g * sgn(input),
)  # fmt: skip


def abs_(self):
    """The absolute values, in place; raises RuntimeError for complex numbers, whose absolute values are real."""
    if self.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return abs.variant("inplace")(self)


Tensor.abs_ = Tensor.absolute_ = abs_
sign = pointwise("sign", kernels.sign, input=lambda g: zeros_of(g))
sgn = pointwise(
    "sgn", kernels.sgn, holomorphic=False, input=lambda g, input, out: sgn_gradient(g, input, out),
)  # fmt: skip
conj_physical_op = pointwise("conj_physical", kernels.conj, holomorphic=False, input=lambda g: conj(g))
conjugate = pointwise("conj", kernels.conj, holomorphic=False, input=lambda g: conjugate(g), **HIDDEN)


@composite
def conj_physical(input):
    """The complex conjugate, computed; a real tensor is its own."""
    return conj_physical_op(input) if input.dtype.is_complex else input


@composite
def conj(input):
    """The complex conjugate; a real tensor is its own."""
    return conjugate(input) if is_complex(input) else input


@composite
def resolve_conj(input):
    """The tensor itself: a conjugate is computed at once here."""
    return input


@composite
def resolve_neg(input):
    """The tensor itself: a negation is computed at once here."""
    return input


reciprocal = pointwise("reciprocal", kernels.reciprocal, promote="float", input=lambda g, out: -g * out * out)
square = choice("square", lambda input: (pow, (input, 2)))
sqrt = pointwise("sqrt", np.sqrt, promote="float", input=lambda g, out: g / (2 * out))
rsqrt = pointwise("rsqrt", kernels.rsqrt, promote="float", input=lambda g, out: -0.5 * g * (out * out * out))
exp = pointwise("exp", np.exp, promote="float", input=lambda g, out: g * out)
exp2 = pointwise("exp2", np.exp2, promote="float", input=lambda g, out: g * (out * LN2), alias=("special_exp2",))
expm1 = pointwise("expm1", np.expm1, promote="float", input=lambda g, out: g * (out + 1))
log = pointwise("log", np.log, promote="float", input=lambda g, input: g / input)
log2 = pointwise("log2", np.log2, promote="float", input=lambda g, input: g / (input * LN2))
log10 = pointwise("log10", np.log10, promote="float", input=lambda g, input: g / (input * LN10))
log1p = pointwise("log1p", np.log1p, node="Log1PBackward0", promote="float", input=lambda g, input: g / (input + 1))
sin = pointwise("sin", np.sin, promote="float", input=lambda g, input: g * cos(input))
cos = pointwise("cos", np.cos, promote="float", input=lambda g, input: g * -sin(input))
tan = pointwise("tan", np.tan, promote="float", input=lambda g, out: g * (1 + out * out))
asin = pointwise(
    "asin", np.arcsin, promote="float", input=lambda g, input: g * rsqrt(1 - input * input), alias=("arcsin",)
)
acos = pointwise(
    "acos", np.arccos, promote="float", input=lambda g, input: g * -rsqrt(1 - input * input), alias=("arccos",)
)
atan = pointwise("atan", np.arctan, promote="float", input=lambda g, input: g / (input * input + 1), alias=("arctan",))
sinh = pointwise("sinh", np.sinh, promote="float", input=lambda g, input: g * cosh(input))
cosh = pointwise("cosh", np.cosh, promote="float", input=lambda g, input: g * sinh(input))
tanh = pointwise("tanh", np.tanh, promote="float", input=lambda g, out: g - g * (out * out))
asinh = pointwise(
    "asinh", np.arcsinh, promote="float", input=lambda g, input: g * rsqrt(input * input + 1), alias=("arcsinh",)
)
acosh = pointwise("acosh", np.arccosh, promote="float",
                  input=lambda g, input: g * rsqrt(input * input - 1),
                  alias=("arccosh",))  # fmt: skip
atanh = pointwise(
    "atanh", np.arctanh, promote="float", input=lambda g, input: g / (1 - input * input), alias=("arctanh",)
)
sigmoid = pointwise("sigmoid", kernels.sigmoid, promote="float", input=lambda g, out: g * ((1 - out) * out))
relu = pointwise("relu", kernels.relu, input=lambda g, out: gate(g, out))
gate = pointwise("threshold_backward", kernels.gate, input=lambda g, other: gate(g, other), other=lambda g: zeros_of(g),
                 **HIDDEN)
# A slope that was chosen by where the input lies changes nowhere with it. PyTorch's gradients of such functions depend
# on the input all the same, with derivative 0: a second derivative may be asked for.
chosen_by = pointwise("chosen_by", lambda input, other: input, input=lambda g: g, other=lambda g: zeros_of(g), **HIDDEN)
erf = pointwise("erf", kernels.erf, promote="float",
                input=lambda g, input: g * (2 / math.sqrt(PI) * exp(-input * input)))
erfc = pointwise("erfc", kernels.erfc, promote="float", real="erfc_vml_cpu",
                 input=lambda g, input: g * (-2 / math.sqrt(PI) * exp(-input * input)))
logit = pointwise(
    "logit", kernels.logit, promote="float", real="logit_cpu",
    input=lambda g, input, eps: logit_gradient(g, input, eps),
)  # fmt: skip
floor = pointwise("floor", kernels.floor, input=lambda g: zeros_of(g))
ceil = pointwise("ceil", kernels.ceil, input=lambda g: zeros_of(g))
trunc = pointwise("trunc", kernels.trunc, input=lambda g: zeros_of(g), alias=("fix",))
round = pointwise("round", kernels.round, real="round_vml_cpu", input=lambda g: zeros_of(g))
frac = pointwise("frac", kernels.frac, input=lambda g: g)
deg2rad = pointwise(
    "deg2rad", np.deg2rad, promote="float", real="deg2rad is not supported for complex tensors.",
    node="Deg2RadBackward0", input=lambda g: g * (PI / 180),
)
rad2deg = pointwise(
    "rad2deg", np.rad2deg, promote="float", real="rad2deg is not supported for complex tensors.",
    node="Rad2DegBackward0", input=lambda g: g * (180 / PI),
)
angle = pointwise("angle", kernels.angle, promote="float", holomorphic=False, inplace=False,
                  input=lambda g, input: angle_gradient(g, input))  # fmt: skip
sinc = pointwise("sinc", kernels.sinc, promote="float", input=lambda g, input: g * sinc_gradient(input))
nan_to_num = pointwise(
    "nan_to_num", kernels.nan_to_num, input=lambda g, input: select(isfinite(input), g, zeros_of(g)),
)  # fmt: skip
softplus = pointwise(
    "softplus", kernels.softplus, real="softplus_cpu", function=False, method=False, inplace=False,
    input=lambda g, input, beta, threshold: select(input * beta > threshold, g, g * sigmoid(input * beta)),
)  # fmt: skip
threshold = pointwise(
    "threshold", kernels.threshold, real="threshold_cpu", method=False, inplace=False,
    input=lambda g, input, threshold: chosen_by(select(input <= threshold, 0, g), input),
)  # fmt: skip
clone_of = pointwise("clone", kernels.clone, input=lambda g: g, **HIDDEN)


def sgn_gradient(g, input, out):
    if not is_complex(input):
        return zeros_of(g)
    size = abs(input)
    along = (g / out - conj(g / out)) * out / (2 * size)
    return select(size == 0, zeros_of(g), along)


def logit_gradient(g, input, eps):
    slope = g / (input * (1 - input))
    low = 0 if eps is None else eps
    inside = (input >= low) & (input <= 1 - low)
    return select(inside, slope, zeros_of(g) if eps is not None else zeros_of(g) + math.nan)


def angle_gradient(g, input):
    if not is_complex(input):
        return zeros_of(g)
    size = abs(input)
    return select(size == 0, zeros_of(input), g * (input / select(size == 0, 1, size * size) * 1j))


def sinc_gradient(input):
    scaled = PI * input
    safe = select(input == 0, 1, input)
    return select(input == 0, zeros_of(input), (cos(scaled) * PI * safe - sin(scaled)) / (PI * safe * safe))


@composite
def positive(input):
    """`input` itself."""
    if input.dtype is bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# --- two arguments ----------------------------------------------------------------------------------------------------

atan2 = pointwise(
    "atan2", np.arctan2, numbers=False, promote="float", alias=("arctan2",),
    input=lambda g, input, other: angle_slope(g, other, input * input + other * other),
    other=lambda g, input, other: angle_slope(-g, input, input * input + other * other),
)  # fmt: skip
hypot = pointwise(
    "hypot", kernels.hypot, numbers=False, input=lambda g, input, out: g * (input / out),
    other=lambda g, other, out: g * (other / out),
)  # fmt: skip
maximum = pointwise(
    "maximum", kernels.maximum, inplace=False, numbers=False,
    input=lambda g, input, other: select(input == other, g / 2, select(input < other, 0, g)),
    other=lambda g, input, other: select(input == other, g / 2, select(input > other, 0, g)),
)  # fmt: skip
minimum = pointwise(
    "minimum", kernels.minimum, inplace=False, numbers=False,
    input=lambda g, input, other: select(input == other, g / 2, select(input > other, 0, g)),
    other=lambda g, input, other: select(input == other, g / 2, select(input < other, 0, g)),
)  # fmt: skip
fmax = pointwise(
    "fmax", np.fmax, inplace=False, numbers=False, real="fmax not implemented for complex tensors.",
    input=lambda g, input, other: select((input >= other) | isnan(other), g, 0),
    other=lambda g, input, other: select((input >= other) | isnan(other), 0, g),
)  # fmt: skip
fmin = pointwise(
    "fmin", np.fmin, inplace=False, numbers=False, real="fmin not implemented for complex tensors.",
    input=lambda g, input, other: select((input <= other) | isnan(other), g, 0),
    other=lambda g, input, other: select((input <= other) | isnan(other), 0, g),
)  # fmt: skip
copysign = pointwise(
    "copysign", kernels.copysign, numbers=("other",), promote="float", scalar_node="CopysignBackward1",
    input=lambda g, input, out: select(input == 0, 0, g * (out / input)), other=lambda g: zeros_of(g),
)  # fmt: skip
xlogy = pointwise(
    "xlogy", kernels.xlogy, promote="float", real="xlogy_cpu",
    input=lambda g, input, other: select((input == 0) & (other <= 0), 0, g * log(other)),
    other=lambda g, input, other: g * (input / other),
)  # fmt: skip
logaddexp = pointwise(
    "logaddexp", kernels.logaddexp, inplace=False, numbers=False,
    input=lambda g, input, other: g / (1 + exp(other - input)),
    other=lambda g, input, other: g / (1 + exp(input - other)),
)  # fmt: skip
logaddexp2 = pointwise(
    "logaddexp2", kernels.logaddexp2, inplace=False, numbers=False,
    input=lambda g, input, other: g / (1 + exp2(other - input)),
    other=lambda g, input, other: g / (1 + exp2(input - other)),
)  # fmt: skip
nextafter = pointwise(
    "nextafter", kernels.nextafter, numbers=False, input=lambda g, input, other: select(input == other, 0, g),
    other=lambda g: zeros_of(g),
)  # fmt: skip
gcd = pointwise("gcd", np.gcd, numbers=False)
lcm = pointwise("lcm", np.lcm, numbers=False)


def angle_slope(g, along, size):
    """g * along / size, and 0 at the origin, where the angle has no derivative."""
    return g * select(size == 0, 0, along / select(size == 0, 1, size))


# --- choices by element -----------------------------------------------------------------------------------------------

select = pointwise(
    "where", kernels.where, tensors=("condition", "input", "other"), unpromoted=("condition",),
    mostly_numbers=("other",),
    input=lambda g, condition: select(condition, g, 0), other=lambda g, condition: select(condition, 0, g), **HIDDEN,
)  # fmt: skip


def _where(condition, input=None, other=None):
    if input is None and other is None:
        from wengert.ops.indexing import nonzero

        return nonzero, (condition,), {"as_tuple": True}
    if not isinstance(condition, Tensor):
        raise TypeError(f"select(): argument 'condition' (position 1) must be Tensor, not {type(condition).__name__}")
    if condition.dtype is not bool_:
        if condition.dtype is not uint8:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {name_of(condition)}"
            )
        condition = condition.to(bool_)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        common = result_type_of([(of_scalar(input), 0), (of_scalar(other), 0)])
        input = convert(input, common)
    return select, (condition, input, other)


def name_of(tensor):
    return SCALAR_NAMES[tensor.dtype]


where = choice("where", _where, inplace=False, method=False)
where_method = choice(
    "where", lambda input, condition, other: _where(condition, input, other), inplace=False, function=False
)


def refuse_unlike_limits(values):
    """Two limits are two tensors or two numbers; beside a number a tensor of no dimensions is one too."""
    low, high = values["min"], values["max"]
    if low is not None and high is not None and isinstance(low, Tensor) != isinstance(high, Tensor):
        name, tensor = ("min", low) if isinstance(low, Tensor) else ("max", high)
        if not tensor._array.ndim and isinstance(high if tensor is low else low, NUMBERS):
            values[name] = tensor.item()
            return
        kinds = f"Tensor, {type(low).__name__}, {type(high).__name__}"
        raise TypeError(
            f"clamp() received an invalid combination of arguments - got ({kinds}), but expected one of:\n"
            " * (Tensor input, Tensor min = None, Tensor max = None, *, Tensor out = None)\n"
            " * (Tensor input, Number min = None, Number max = None, *, Tensor out = None)\n"
        )


clamp = pointwise(
    "clamp", kernels.clamp, numbers=("min", "max"), tensors=("input", "min", "max"), alias=("clip",),
    check=refuse_unlike_limits, mostly_numbers=("min", "max"), scalar_node="ClampBackward1",
    input=lambda g, input, min, max: clamp_gradient(g, input, min, max),
    min=lambda g, input, min, max: select(input < min if max is None else (input < min) & (min < max), g, 0),
    max=lambda g, input, min, max: select(input > max if min is None else (input > max) | (max < min), g, 0),
)  # fmt: skip
clamp_min = pointwise(
    "clamp_min", kernels.clamp_min, tensors=("input", "min"), numbers=("min",), mostly_numbers=("min",),
    node="ClampMinBackward1", scalar_node="ClampMinBackward0",
    input=lambda g, input, min: select(input >= min, g, 0), min=lambda g, input, min: select(input < min, g, 0),
)  # fmt: skip
clamp_max = pointwise(
    "clamp_max", kernels.clamp_max, tensors=("input", "max"), numbers=("max",), mostly_numbers=("max",),
    node="ClampMaxBackward1", scalar_node="ClampMaxBackward0",
    input=lambda g, input, max: select(input <= max, g, 0), max=lambda g, input, max: select(input > max, g, 0),
)  # fmt: skip


def refuse_mixture(values):
    """Here PyTorch promotes nothing, and knows no integers."""
    wanted = values["input"].dtype
    for name in ("end", "weight"):
        value = values[name]
        if isinstance(value, Tensor) and value.dtype is not wanted:
            raise RuntimeError(f"expected dtype {wanted} for `{name}` but got dtype {value.dtype}")
    if not wanted.differentiable:
        raise NotImplementedError(f'"lerp_kernel" not implemented for \'{SCALAR_NAMES[wanted]}\'')


lerp = pointwise(
    "lerp", kernels.lerp, tensors=("input", "end", "weight"), check=refuse_mixture, mostly_numbers=("weight",),
    node="LerpBackward1", scalar_node="LerpBackward0",
    input=lambda g, weight: g * (1 - weight), end=lambda g, weight: g * weight,
    weight=lambda g, input, end: g * (end - input),
)  # fmt: skip


def clamp_gradient(g, input, min, max):
    """Passes where the input was not moved, the limits included."""
    inside = True
    if min is not None:
        inside = input >= min
    if max is not None:
        inside = (input <= max) if min is None else inside & (input <= max)
    return select(inside, g, 0)


# --- questions, whose answers have no derivative ----------------------------------------------------------------------

eq = pointwise("eq", np.equal, numbers=("other",), promote="bool")
ne = pointwise("ne", np.not_equal, numbers=("other",), promote="bool", alias=("not_equal",))
lt = pointwise("lt", np.less, numbers=("other",), promote="bool", real="lt_cpu", alias=("less",))
le = pointwise("le", np.less_equal, numbers=("other",), promote="bool", real="le_cpu", alias=("less_equal",))
gt = pointwise("gt", np.greater, numbers=("other",), promote="bool", real="gt_cpu", alias=("greater",))
ge = pointwise("ge", np.greater_equal, numbers=("other",), promote="bool", real="ge_cpu", alias=("greater_equal",))
logical_and = pointwise("logical_and", np.logical_and, numbers=False, promote="bool")
logical_or = pointwise("logical_or", np.logical_or, numbers=False, promote="bool")
logical_xor = pointwise("logical_xor", np.logical_xor, numbers=False, promote="bool")
logical_not = pointwise("logical_not", np.logical_not, promote="bool")
isnan = pointwise("isnan", np.isnan, promote="bool", inplace=False)
isinf = pointwise("isinf", np.isinf, promote="bool", inplace=False)
isfinite = pointwise("isfinite", np.isfinite, promote="bool", inplace=False)
isposinf = pointwise("isposinf", kernels.isposinf, promote="bool", inplace=False)
isneginf = pointwise("isneginf", kernels.isneginf, promote="bool", inplace=False)
signbit = pointwise("signbit", np.signbit, promote="bool", inplace=False)
bitwise_and = pointwise("bitwise_and", np.bitwise_and)
bitwise_or = pointwise("bitwise_or", np.bitwise_or)
bitwise_xor = pointwise("bitwise_xor", np.bitwise_xor)
bitwise_not = pointwise("bitwise_not", kernels.bitwise_not)
bitwise_left_shift = pointwise("bitwise_left_shift", kernels.left_shift)
bitwise_right_shift = pointwise("bitwise_right_shift", kernels.right_shift)

# --- Python's operators -----------------------------------------------------------------------------------------------

SYMMETRIC = {"add": plain_add, "mul": mul, "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor}
ONE_SIDED = {
    "sub": plain_sub, "truediv": true_div, "floordiv": floor_divide, "mod": remainder, "pow": pow,
    "lshift": bitwise_left_shift, "rshift": bitwise_right_shift,
}  # fmt: skip
COMPARISONS = {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}
UNARY = {"neg": neg, "pos": positive, "abs": abs, "invert": bitwise_not}

for _name, _operation in (SYMMETRIC | ONE_SIDED).items():
    attach(f"__{_name}__", _operation, "operator")
    attach(f"__i{_name}__", _operation, "inplace")
for _name, _operation in SYMMETRIC.items():
    attach(f"__r{_name}__", _operation, "operator")
for _name, _operation in COMPARISONS.items():
    attach(f"__{_name}__", _operation, "operator")
for _name, _operation in UNARY.items():
    attach(f"__{_name}__", _operation, "function")
attach("__rsub__", plain_rsub, "operator")
del Tensor.__ipow__  # x **= y makes a new tensor in PyTorch


def reversed_operator(operation):
    """``number op tensor`` for an operation that is not symmetric."""

    def operator(self, other):
        if not isinstance(other, (Tensor, *NUMBERS)):
            return NotImplemented
        return operation.function(other, self)

    return operator


def _rtruediv(self, other):
    if not isinstance(other, (Tensor, np.ndarray, *NUMBERS)):  # arrays too: the product is then NumPy's
        return NotImplemented
    return self.reciprocal() * other


_rtruediv.__name__ = "__rdiv__"  # as overrides know it
Tensor.__rtruediv__ = Tensor.__rdiv__ = _rtruediv
base_pow = pointwise(
    "pow", kernels.pow, node="PowBackward2", tensors=("input", "exponent"), **HIDDEN,
    input=lambda g, input, exponent: power_gradient(g, input, exponent),
    exponent=lambda g, input, exponent, out: exponent_gradient(g, input, exponent, out),
)  # fmt: skip
Tensor.__rpow__ = reversed_operator(base_pow)
for _name in ("floordiv", "mod", "lshift", "rshift"):
    setattr(Tensor, f"__r{_name}__", reversed_operator(ONE_SIDED[_name]))
