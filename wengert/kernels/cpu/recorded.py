"""How reference kernels are recorded.

Most are: they are run on symbols as they stand (`recordable` binds the functions that they call to those below). A few
branch on values or shapes, or leave NumPy; each of these has its expression here.
"""

import math
import types

import ml_dtypes
import numpy as np

from wengert.kernels import activation, pointwise, special
from wengert.kernels.cpu import gamma
from wengert.kernels.cpu import mathematics as m
from wengert.kernels.cpu.expressions import (
    Symbol,
    Unrecordable,
    absolute,
    cast,
    compare,
    constant,
    is_weak,
    maximum,
    minimum,
    select,
)  # fmt: skip

gt, le, lt, eq = map(compare, ("gt", "le", "lt", "eq"))


def relu(x):
    """NaN stays."""
    return select(le(x, 0), constant(0, x.dtype), x)


def gate(g, out):
    return select(le(out, 0), constant(0, g.dtype), g)


def sign(x):
    if x.dtype.kind != "f":
        raise Unrecordable(f"sign of {x.dtype}")
    return cast(gt(x, 0), x.dtype) - cast(lt(x, 0), x.dtype)


def clamp(x, low=None, high=None):
    if low is None and high is None:
        raise Unrecordable("no limits")
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def rounded(x, *, decimals=0):
    if decimals:
        raise Unrecordable("decimals")
    return np.rint(x)


def softplus(x, beta=1.0, threshold=20.0):
    scaled = x * beta
    soft = m.logaddexp(scaled, constant(0, x.dtype)) / beta
    return select(gt(scaled, threshold), x, soft)


def isfinite(x):
    return lt(absolute(x), float("inf"))


def lerp(x, end, weight):
    difference = end - x
    if is_weak(weight):
        return x + weight * difference if abs(weight) < 0.5 else end - difference * (1 - weight)
    return select(lt(absolute(weight), 0.5), x + weight * difference, end - difference * (1 - weight))


def sinc(x):
    zero, scaled = eq(x, 0), x * constant(pointwise.PI, x.dtype)
    safe = select(zero, constant(1, x.dtype), scaled)
    return select(zero, constant(1, x.dtype), np.sin(safe) / safe)


def xlogy(x, y):
    """0 where x is 0, unless y is NaN."""
    return select(eq(x, 0), select(eq(y, y), constant(0, x.dtype), y), x * np.log(y))


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """The largest finite numbers are those of the array in memory, which is what `value` says of an argument."""
    if x.dtype.kind != "f" or x.op != "argument":
        raise Unrecordable("nan_to_num of what is no array of floats")
    largest = float(ml_dtypes.finfo(x.value).max)
    x = select(eq(x, math.inf), constant(largest if posinf is None else posinf, x.dtype), select(
        eq(x, -math.inf), constant(-largest if neginf is None else neginf, x.dtype), x))
    return select(eq(x, x), x, constant(0.0 if nan is None else nan, x.dtype))


def angle(x):
    raise Unrecordable("angle")


EXPRESSIONS = {
    pointwise.sigmoid: m.sigmoid,
    pointwise.rsqrt: m.rsqrt,
    pointwise.relu: relu,
    pointwise.gate: gate,
    pointwise.where: select,
    pointwise.sign: sign,
    pointwise.sgn: sign,
    pointwise.erf: m.erf,
    pointwise.erfc: m.erfc,
    pointwise.pow: m.power,
    pointwise.maximum: maximum,
    pointwise.minimum: minimum,
    pointwise.clamp: clamp,
    pointwise.limited: clamp,
    pointwise.lerp: lerp,
    pointwise.sinc: sinc,
    pointwise.xlogy: xlogy,
    pointwise.round: rounded,
    pointwise.softplus: softplus,
    pointwise.logaddexp: m.logaddexp,
    pointwise.isfinite: isfinite,
    pointwise.floor_divide: m.floor_divide,
    pointwise.remainder: m.remainder,
    pointwise.fmod: m.fmod,
    pointwise.hypot: m.hypot,
    pointwise.nan_to_num: nan_to_num,
    pointwise.absolute: absolute,
    activation.normal_cdf: m.normal_cdf,
    activation.normal_pdf: m.normal_pdf,
    special.lgamma: gamma.lgamma,
    special.digamma: gamma.digamma,
    special.polygamma: gamma.polygamma,
    special.erfinv: m.erfinv,
}

_namespaces: dict[int, dict] = {}
HOUSES = ("wengert.kernels.", "wengert.ops.")  # whose functions are written with operations and NumPy


def recordable(function):
    """`function` bound so that it can be called with symbols."""
    if isinstance(function, (Symbol, np.ufunc)):
        return function
    found = EXPRESSIONS.get(function)
    if found is not None:
        return found
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:  # beneath a check of dtypes
        return recordable(wrapped)
    if not isinstance(function, types.FunctionType):
        raise Unrecordable(f"a call of {function!r}")
    bound = types.FunctionType(
        function.__code__, namespace_of(function.__globals__), function.__name__, function.__defaults__,
        function.__closure__,
    )  # fmt: skip
    bound.__kwdefaults__ = function.__kwdefaults__
    return bound


def namespace_of(source):
    """The globals of a module, its functions and operations in their recordable forms."""
    found = _namespaces.get(id(source))
    if found is not None:
        return found
    found = _namespaces[id(source)] = dict(source)
    for name, value in source.items():
        written_here = isinstance(value, types.FunctionType) and value.__module__.startswith(HOUSES)
        if written_here or hasattr(type(value), "on_arrays"):  # an operation
            found[name] = Recorded(value)
    return found


class Recorded:
    """An operation or function that a formula names, made recordable when it is called."""

    def __init__(self, value):
        self.value = value
        self.form = None

    def __call__(self, *args, **kwargs):
        if self.form is None:
            value = self.value
            self.form = recordable(getattr(value, "kernel", value))
        result = self.form(*args, **kwargs)
        if isinstance(result, tuple):  # a choice: (operation, arguments)
            chosen, arguments = result
            return Recorded(chosen)(*arguments)
        return result
