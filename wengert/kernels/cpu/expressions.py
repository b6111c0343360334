"""Expressions on corresponding elements, recorded by running a formula on symbols.

A formula such as ``lambda g, out: g * ((1 - out) * out)``, or a kernel written with NumPy, is called with a `Symbol`
for each array. Operators, ufuncs and `np.where` on symbols build a tree instead of computing; what can't be recorded
(a shape asked for, a branch on a value) raises `Unrecordable`, and the formula stays with NumPy.

The dtypes of a tree are NumPy's own: a Python number takes the dtype of its partner, other pairs are promoted. 16-bit
floats enter as float32, so a formula on them is rounded once, at its end.
"""

import math

import ml_dtypes
import numpy as np

F32, F64, BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.bool_)
F16, BF16 = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)
HALVES = (F16, BF16)
SUPPORTED = {np.dtype(t) for t in ("f4", "f8", "f2", "?", "i1", "i2", "i4", "i8", "u1")} | {BF16}


class Unrecordable(TypeError):
    """The formula does something that has no place in a tree of elementwise operations."""


class Symbol:
    """A node of a tree: a primitive operation (`op`) on other nodes (`args`), of a dtype; `value` for leaves."""

    __slots__ = ("op", "args", "dtype", "value")
    __array_priority__ = 10_000
    requires_grad = False  # as formulas ask of what may be a tensor

    def __init__(self, op, args, dtype, value=None):
        self.op, self.args, self.dtype, self.value = op, args, dtype, value

    def __bool__(self):
        raise Unrecordable("a branch on a value")

    def __getattr__(self, name):
        raise Unrecordable(f"an element has no {name}")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or options or ufunc.__name__ not in UFUNCS:
            raise Unrecordable(f"{ufunc.__name__}.{method}")
        return UFUNCS[ufunc.__name__](*inputs)

    def __array_function__(self, function, types, args, kwargs):
        if function is np.where and not kwargs:
            return select(*args)
        raise Unrecordable(function.__name__)

    def astype(self, dtype, copy=True):
        dtype = np.dtype(dtype)
        return cast(self, F32 if dtype in HALVES else dtype)


def constant(value, dtype):
    if isinstance(value, (np.ndarray, np.generic)):
        value = value[()].item()
    return Symbol("constant", (), dtype, value)


def is_weak(x):
    return type(x) in (int, float, bool)


def kind(x):
    return {bool: 0, int: 1, float: 2}[type(x)] if is_weak(x) else {"b": 0, "i": 1, "u": 1, "f": 2}[x.dtype.kind]


def common_dtype(*operands):
    """The dtype in which NumPy would work on symbols, arrays of no dimensions and Python numbers."""
    strong = [x.dtype for x in operands if not is_weak(x)]
    found = np.result_type(*strong)
    weak = [x for x in operands if is_weak(x)]
    if weak:
        level = max(map(kind, weak))
        if level == 2 and found.kind != "f":
            raise Unrecordable("an integer with a fraction")
        if level == 1 and found.kind == "b":
            raise Unrecordable("a truth value with an integer")
    if found not in SUPPORTED:
        raise Unrecordable(f"dtype {found}")
    return F32 if found in HALVES else found


def as_symbol(x, dtype):
    if isinstance(x, Symbol):
        return cast(x, dtype)
    if is_weak(x) or (isinstance(x, (np.ndarray, np.generic)) and x.ndim == 0):
        return constant(x, dtype)
    raise Unrecordable(f"an operand of type {type(x).__name__}")


def cast(x, dtype):
    """`x` converted to `dtype` as C would convert it."""
    if x.dtype == dtype:
        return x
    if dtype not in SUPPORTED:
        raise Unrecordable(f"dtype {dtype}")
    if x.op == "constant" and x.dtype.kind != "f":
        return constant(x.value, dtype)
    return Symbol("cast", (x,), dtype)


def joined(op, *operands, result=None, kinds="fiu"):
    dtype = common_dtype(*operands)
    if dtype.kind not in kinds:
        raise Unrecordable(f"{op} of {dtype}")
    return Symbol(op, tuple(as_symbol(x, dtype) for x in operands), result or dtype)


# --- what formulas are written with -----------------------------------------------------------------------------------


def add(a, b):
    return joined("add", a, b)


def sub(a, b):
    return joined("sub", a, b)


def mul(a, b):
    return joined("mul", a, b)


def div(a, b):
    return joined("div", a, b, kinds="f")


def neg(a):
    return joined("neg", a)


def compare(op):
    return lambda a, b: joined(op, a, b, result=BOOL, kinds="fiub")


def bitwise(op):
    return lambda a, b: joined(op, a, b, kinds="iub")


def invert(a):
    return Symbol("xor", (a, constant(-1 if a.dtype.kind != "b" else 1, a.dtype)), a.dtype)


def select(condition, a, b):
    if not isinstance(condition, Symbol):
        raise Unrecordable("a condition that is not an element")
    if is_weak(a) and is_weak(b):
        raise Unrecordable("a choice between numbers")
    dtype = common_dtype(a, b)
    if condition.dtype != BOOL:
        condition = Symbol("ne", (condition, constant(0, condition.dtype)), BOOL)
    return Symbol("select", (condition, as_symbol(a, dtype), as_symbol(b, dtype)), dtype)


def seldom(condition, rare, usual):
    """The choice between two of one dtype, of which the first is computed only where some element near by wants it."""
    return Symbol("seldom", (condition, usual), usual.dtype, rare)


def unary(op):
    return lambda a: Symbol(op, (a,), a.dtype) if a.dtype.kind == "f" else refuse(op, a)


def whole_quotient(a, divisor):
    """(quotient, remainder) of integers by a number other than 0, rounded toward minus infinity."""
    dtype = common_dtype(a, divisor)
    if type(divisor) is not int or dtype.kind not in "iu" or not fits(divisor, dtype):
        raise Unrecordable(f"a quotient of {dtype} by what may be 0")
    if divisor == -1:  # of the least number there is no quotient
        return neg(a), sub(a, a)
    by = constant(divisor, dtype)
    quotient = Symbol("div" if dtype.kind == "i" else "udiv", (a, by), dtype)
    rest = sub(a, mul(quotient, by))
    beyond = compare("lt" if divisor > 0 else "gt")(rest, constant(0, dtype))
    return sub(quotient, cast(beyond, dtype)), add(rest, select(beyond, by, constant(0, dtype)))


def fits(number, dtype):
    """Whether a number other than 0 is one of an integer dtype."""
    return number != 0 and np.iinfo(dtype).min <= number <= np.iinfo(dtype).max


def refuse(op, a):
    raise Unrecordable(f"{op} of {a.dtype}")


sqrt, rint, floor, ceil, trunc = map(unary, ("sqrt", "rint", "floor", "ceil", "trunc"))


def absolute(a):
    if a.dtype.kind == "u":
        return a
    if a.dtype.kind == "b":
        refuse("absolute", a)
    return Symbol("abs", (a,), a.dtype)


def fma(a, b, c):
    """a * b + c, rounded once where the processor can."""
    return joined("fma", a, b, c, kinds="f")


def copysign(a, b):
    return joined("copysign", a, b, kinds="f")


def bits(x, dtype):
    """The same bits seen as another dtype of the same size."""
    return Symbol("bits", (x,), np.dtype(dtype))


def shift(op, x, count):
    return Symbol(op, (x, constant(count, x.dtype)), x.dtype)


def either(a, b):
    return Symbol("or", (a, b), BOOL)


def maximum(a, b):
    """NaN where either is."""
    dtype = common_dtype(a, b)
    a, b = as_symbol(a, dtype), as_symbol(b, dtype)
    if b.op == "constant" and b.value == b.value:  # in one instruction: what is not beyond the bound, NaN too, stays
        return Symbol("select", (Symbol("lt", (a, b), BOOL), b, a), dtype)
    first = Symbol("ge", (a, b), BOOL)
    if dtype.kind == "f" and a.op != "constant":
        first = either(first, Symbol("ne", (a, a), BOOL))
    return Symbol("select", (first, a, b), dtype)


def minimum(a, b):
    dtype = common_dtype(a, b)
    a, b = as_symbol(a, dtype), as_symbol(b, dtype)
    if b.op == "constant" and b.value == b.value:  # in one instruction: what is not beyond the bound, NaN too, stays
        return Symbol("select", (Symbol("gt", (a, b), BOOL), b, a), dtype)
    first = Symbol("le", (a, b), BOOL)
    if dtype.kind == "f" and a.op != "constant":
        first = either(first, Symbol("ne", (a, a), BOOL))
    return Symbol("select", (first, a, b), dtype)


def reciprocal(a):
    return div(1.0, a)


def square(a):
    return mul(a, a)


def isnan(a):
    return Symbol("ne", (a, a), BOOL)


def isinf(a):
    return compare("eq")(absolute(a), math.inf)


def isfinite(a):
    return compare("lt")(absolute(a), math.inf)


UFUNCS = {
    "add": add, "subtract": sub, "multiply": mul, "true_divide": div, "divide": div, "negative": neg,
    "sqrt": sqrt, "rint": rint, "floor": floor, "ceil": ceil, "trunc": trunc, "absolute": absolute,
    "maximum": maximum, "minimum": minimum, "reciprocal": reciprocal, "square": square, "copysign": copysign,
    "isnan": isnan, "isinf": isinf, "isfinite": isfinite, "invert": invert, "positive": lambda a: a,
    "equal": compare("eq"), "not_equal": compare("ne"), "less": compare("lt"), "less_equal": compare("le"),
    "greater": compare("gt"), "greater_equal": compare("ge"),
    "bitwise_and": bitwise("and"), "bitwise_or": bitwise("or"), "bitwise_xor": bitwise("xor"),
}  # fmt: skip

OPERATORS = {
    "add": add, "sub": sub, "mul": mul, "truediv": div, "and": bitwise("and"), "or": bitwise("or"),
    "xor": bitwise("xor"),
}  # fmt: skip
for _name, _function in OPERATORS.items():
    setattr(Symbol, f"__{_name}__", lambda self, other, f=_function: f(self, other))
    setattr(Symbol, f"__r{_name}__", lambda self, other, f=_function: f(other, self))
for _name, _function in {name: compare(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}.items():
    setattr(Symbol, f"__{_name}__", lambda self, other, f=_function: f(self, other))
Symbol.__hash__ = object.__hash__
Symbol.__neg__ = neg
Symbol.__invert__ = invert
Symbol.__abs__ = absolute


def _power(self, exponent):
    """Small whole powers, as products."""
    if not is_weak(exponent) or exponent not in (1, 2, 3, 4):
        raise Unrecordable("a power")
    result = self
    for _ in range(int(exponent) - 1):
        result = mul(result, self)
    return result


Symbol.__pow__ = _power


def in_order(roots):
    """Every node of some trees once, each after what it is made of; what is computed seldom stays out."""
    seen, stack = set(), list(reversed(roots))
    while stack:
        node = stack[-1]
        missing = [] if id(node) in seen else [a for a in node.args if id(a) not in seen]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
