"""Elementary functions as expressions: a reduction of the argument, a polynomial, and the way back.

Written with the primitives of `expressions`, so they run in vectors inside of whatever loop needs them. Within 2 units
in the last place in float32 and 4 in float64, and right at zeros, infinities, NaN and subnormal numbers (the tests walk
all of these). The polynomials are fitted by tools/fit_polynomials.py, which prints the tables below. Where a vector
form would not be exact enough, the C library's function is called for each element.
"""

import math
import sys

import numpy as np

from wengert.kernels.cpu.expressions import (
    BOOL,
    F32,
    F64,
    UFUNCS,
    Symbol,
    Unrecordable,
    absolute,
    add,
    as_symbol,
    bits,
    cast,
    common_dtype,
    compare,
    constant,
    copysign,
    div,
    floor,
    fma,
    is_weak,
    isinf,
    maximum,
    minimum,
    mul,
    neg,
    rint,
    seldom,
    select,
    shift,
    sqrt,
    sub,
    trunc,
    whole_quotient,
)  # fmt: skip

EXP = {
    F32: (0.5, 0.16666577, 0.0416665546, 0.00836317905, 0.00139261836),
    F64: (
        0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332613513, 0.00138888888888837483,
        0.000198412698748206253, 0.0000248015873255477412, 2.75572554002064244e-6, 2.75572736431102953e-7,
        2.51052170047207452e-8, 2.09146869680868772e-9
    ),
}  # fmt: skip
LOG = {
    F32: (0.666666666, 0.400001222, 0.285507786, 0.233316145),
    F64: (
        0.666666666666666665, 0.400000000000008832, 0.28571428570799785, 0.222222223925810451,
        0.181817955475211362, 0.153862447376216666, 0.132686383692668239, 0.130880348509275538
    ),
}  # fmt: skip
TANH = {
    F32: (-0.333333332, 0.133333036, -0.0539592596, 0.0217689187, -0.00834394552, 0.00229274482),
    F64: (
        -0.333333333333333333, 0.133333333333333208, -0.0539682539682359013, 0.021869488535133222,
        -0.00886323549980199257, 0.00359212750759925223, -0.00145582839983032459, 0.000589981815838823207,
        -0.000238889446367511739, 0.0000960410915702626599, -0.0000370810692154423339, 0.0000122099217901627817,
        -2.4388316314720878e-6
    ),
}  # fmt: skip
ERF = {
    F32: (0.128379166, -0.376126267, 0.112835947, -0.026854212, 0.00518908742, -0.000801686429, 7.87587506e-5),
}  # fmt: skip
ERFC = {
    F32: (
        -0.000416329218, 1.13067514, -0.36904697, 0.111055017, -0.0270995233, 0.00506494692, -0.000685836683,
        6.22983533e-5, -3.32168459e-6, 7.58268197e-8
    ),
}  # fmt: skip
NORMAL = {
    F32: (
        0.499999961, -0.398939199, 0.249959148, -0.132763847, 0.0618873197, -0.0255343836, 0.0091861901, -0.00278785194,
        0.000684238671, -0.000129734743, 1.80447313e-5, -1.71756572e-6, 9.93663764e-8, -2.62495557e-9
    ),
}  # fmt: skip
SIN = {
    F32: (-0.166666667, 0.00833333187, -0.000198400863, 2.72498647e-6),
    F64: (
        -0.166666666666666667, 0.00833333333333333149, -0.000198412698412650602, 2.75573192193354534e-6,
        -2.50521062311579055e-8, 1.60585314145890108e-10, -7.58668507009126716e-13
    ),
}  # fmt: skip
COS = {
    F32: (0.0416666667, -0.00138888877, 2.48006e-5, -2.73009082e-7),
    F64: (
        0.0416666666666666667, -0.00138888888888888879, 0.0000248015873015846438, -2.755731922140076e-7,
        2.08767557903633961e-9, -1.14704607739693246e-11, 4.74586520378745511e-14
    ),
}  # fmt: skip
ERFINV = {
    F32: (
        0.886226924, 0.232013713, 0.0115491651, -0.00233527059, -0.000126539474, 4.40488043e-5, 4.15066324e-6,
        -2.00827134e-6, 2.24304302e-7, -8.93192597e-9
    ),
}  # fmt: skip
ERFINV_TAIL = {
    F32: (
        2.8329768, 1.00167504, 0.00944564509, -0.00763859214, 0.00568360493, -0.00359055213, 0.0014946019,
        -7.07736481e-5, -0.000317686707, 0.000125706944
    ),
}  # fmt: skip

# ln 2 in two parts, of which multiples by the exponents of the dtype are exact in the first.
LN2 = {F32: (0.693359375, -2.12194440054690583e-4), F64: (0.693147180369123816490, 1.90821492927058770002e-10)}
MANTISSA = {F32: 23, F64: 52}
BIAS = {F32: 127, F64: 1023}
INTEGER = {F32: np.dtype(np.int32), F64: np.dtype(np.int64)}
lt, le, gt, ge, eq, ne = map(compare, ("lt", "le", "gt", "ge", "eq", "ne"))


def floating(function):
    """A function of one float; others are refused."""

    def checked(x):
        if x.dtype not in (F32, F64):
            raise Unrecordable(f"{function.__name__} of {x.dtype}")
        return function(x)

    checked.__name__ = function.__name__
    return checked


def polynomial(x, coefficients):
    """By Horner's rule; coefficients from the constant on."""
    result = constant(coefficients[-1], x.dtype)
    for c in coefficients[-2::-1]:
        result = fma(result, x, constant(c, x.dtype))
    return result


def power_of_two(k):
    """2^k for whole k (a float) within the normal exponents."""
    dtype = k.dtype
    exponent = add(cast(k, INTEGER[dtype]), BIAS[dtype])
    return bits(shift("shl", exponent, MANTISSA[dtype]), dtype)


def scaled(x, k):
    """x * 2^k for any whole k, in two steps, so that results below the normal numbers are rounded once."""
    dtype = k.dtype
    whole = cast(k, INTEGER[dtype])
    half = shift("ashr", whole, 1)
    powers = (bits(shift("shl", add(part, BIAS[dtype]), MANTISSA[dtype]), dtype) for part in (half, sub(whole, half)))
    return mul(mul(x, next(powers)), next(powers))


def reduced(x):
    """(k, r) with x = k ln 2 + r, k whole and r within half of ln 2."""
    high, low = LN2[x.dtype]
    k = rint(mul(x, 1 / math.log(2)))
    return k, fma(k, constant(-low, x.dtype), fma(k, constant(-high, x.dtype), x))


LEAST = {F32: -87.0, F64: -708.0}  # of arguments whose exponential is a normal number
EXP2_RANGE = {F32: (-151.0, 129.0), F64: (-1076.0, 1025.0)}
EXP_RANGE = {F32: (-104.0, 89.0), F64: (-746.0, 710.0)}  # beyond these the result is 0, or infinite


def exp_reduced(r):
    """e^r for r within half of ln 2."""
    return add(fma(mul(r, r), polynomial(r, EXP[r.dtype]), r), 1.0)


@floating
def exp(x):
    low, high = EXP_RANGE[x.dtype]
    k, r = reduced(minimum(maximum(x, low), high))
    return scaled(exp_reduced(r), k)


LN2_ROUNDED = {F32: (0.6931471824645996, -1.904654299957768e-09), F64: (math.log(2), 2.3190468138462996e-17)}


@floating
def exp2(x):
    """2^k e^r for x = k + f, with r = f ln 2."""
    low, high = EXP2_RANGE[x.dtype]
    bounded = minimum(maximum(x, low), high)
    k = rint(bounded)
    f = sub(bounded, k)
    most, least = LN2_ROUNDED[x.dtype]
    return scaled(exp_reduced(fma(f, constant(least, x.dtype), mul(f, constant(most, x.dtype)))), k)


def exp_within(x):
    """e^x where that is known to be a normal number."""
    k, r = reduced(x)
    return mul(exp_reduced(r), power_of_two(k))


@floating
def exp_down(x):
    """e^x for x <= 0, or NaN; 0 where that is less than the normal numbers, as in shares of a whole."""
    return select(lt(x, LEAST[x.dtype]), constant(0.0, x.dtype), exp_within(x))


@floating
def expm1(x):
    """2^k (e^r - 1) + (2^k - 1); -0 stays -0, and what is very negative gives -1."""
    k, r = reduced(minimum(maximum(x, -40.0), EXP_RANGE[x.dtype][1]))
    tail = fma(mul(r, r), polynomial(r, EXP[x.dtype]), r)
    half = floor(mul(k, 0.5))
    one, rest = power_of_two(half), power_of_two(sub(k, half))
    # 2^k in two factors, for k may be the exponent that overflows alone
    grown = mul(fma(tail, one, sub(one, div(1.0, rest))), rest)
    return select(eq(x, 0.0), x, select(eq(k, 0.0), tail, grown))


def decomposed(x):
    """(e, m) with x = m 2^e and m in [sqrt(1/2), sqrt(2)), for positive finite x, subnormal ones too."""
    dtype, integer = x.dtype, INTEGER[x.dtype]
    tiny = lt(x, constant(float(np.finfo(dtype).tiny), dtype))
    lift = MANTISSA[dtype] + 2
    whole = bits(select(tiny, mul(x, float(2**lift)), x), integer)
    middle = int(np.array(math.sqrt(0.5), dtype).view(integer))
    e = shift("ashr", sub(whole, middle), MANTISSA[dtype])
    m = bits(sub(whole, shift("shl", e, MANTISSA[dtype])), dtype)
    return sub(cast(e, dtype), select(tiny, constant(float(lift), dtype), constant(0.0, dtype))), m


def log_tail(f):
    """(s, f² / 2, tail), of which log(1 + f) is f - (f² / 2 - s (f² / 2 + tail)): with s = f / (2 + f) the logarithm is
    2 s + s³ P(s²), and 2 s = f - s f.
    """
    s = div(f, add(f, 2.0))
    z = mul(s, s)
    return s, mul(mul(f, f), 0.5), mul(z, polynomial(z, LOG[f.dtype]))


def log_of_parts(e, f):
    """e ln 2 + log(1 + f)."""
    high, low = LN2[f.dtype]
    s, square, tail = log_tail(f)
    correction = fma(s, add(square, tail), mul(e, low))
    return fma(e, constant(high, f.dtype), sub(f, sub(square, correction)))


def log_edges(x, result):
    """The logarithm's values at 0, infinity, below 0 and at NaN."""
    result = select(eq(x, math.inf), x, result)
    result = select(eq(x, 0.0), constant(-math.inf, x.dtype), result)
    return select(ge(x, 0.0), result, constant(math.nan, x.dtype))


@floating
def log(x):
    e, m = decomposed(x)
    return log_edges(x, log_of_parts(e, sub(m, 1.0)))


# Of each base of float32's logarithms: 1 / ln base and the logarithm of 2, in two parts each, of which multiples of the
# latter's first by the exponents are exact.
BASES = {2: ((1.4426950216293335, 1.9259629911266175e-08), (1.0, 0.0)),
         10: ((0.4342944920063019, -1.0103050052231683e-08), (0.301025390625, 4.605038981195214e-06))}  # fmt: skip


def log_in_base(base):
    """log2 and log10 of float32, every part multiplied before they are added; float64 by the C library."""
    scale, (high, low) = BASES[base]

    def function(x):
        if x.dtype != F32:
            return library(f"log{base}")(x)
        e, m = decomposed(x)
        f = sub(m, 1.0)
        s, square, tail = log_tail(f)
        lost = fma(neg(s), add(square, tail), square)
        small = fma(neg(lost), constant(scale[0], F32), fma(f, constant(scale[1], F32), mul(e, low)))
        return log_edges(x, fma(e, constant(high, F32), fma(f, constant(scale[0], F32), small)))

    return function


@floating
def log1p(x):
    """log(1 + x), what rounding took from the sum given back."""
    u = add(x, 1.0)
    e, m = decomposed(u)
    lost = select(ge(x, 1.0), sub(1.0, sub(u, x)), sub(x, sub(u, 1.0)))
    near = log_of_parts(e, sub(m, 1.0))
    corrected = add(near, div(lost, u))
    edges = log_edges(u, corrected)
    return select(eq(u, 1.0), x, edges)


@floating
def tanh(x):
    """An odd polynomial near 0; 1 - 2 / (e^2|x| + 1) elsewhere."""
    size = absolute(x)
    z = mul(size, size)
    near = fma(mul(size, z), polynomial(z, TANH[x.dtype]), size)
    far = sub(1.0, div(2.0, add(exp_within(mul(minimum(size, 30.0), 2.0)), 1.0)))
    return copysign(select(lt(size, 0.625), near, select(lt(size, 30.0), far, select(
        ne(x, x), x, constant(1.0, x.dtype)))), x)


@floating
def sigmoid(x):
    return div(1.0, add(exp(neg(x)), 1.0))


@floating
def erf(x):
    """x + x P(x²) near 0; 1 - erfc elsewhere, erfc(x) = e^(-x² - P(x)). In float64 by the C library."""
    if x.dtype == F64:
        return library("erf")(x)
    size = absolute(x)
    near = fma(x, polynomial(mul(x, x), ERF[F32]), x)
    t = minimum(size, 4.0)
    far = sub(1.0, exp_within(neg(fma(t, t, polynomial(t, ERFC[F32])))))
    return select(lt(size, 1.0), near, select(ne(x, x), x, copysign(far, x)))


def last_steps(x, t, coefficients):
    """x times a polynomial in t, the last steps in float64: three roundings less."""
    slope = cast(polynomial(t, coefficients[1:]), F64)
    return cast(mul(cast(x, F64), fma(cast(t, F64), slope, constant(coefficients[0], F64))), F32)


@floating
def erfinv(x):
    """x P(w) with w = -log(1 - x²), near the ends x P(sqrt(w) - 3). Of float32 only."""
    if x.dtype != F32:
        raise Unrecordable("erfinv of float64")
    w = neg(log(fma(neg(x), x, constant(1.0, F32))))
    found = seldom(ge(w, 5.0), last_steps(x, sub(sqrt(w), 3.0), ERFINV_TAIL[F32]), last_steps(x, w, ERFINV[F32]))
    return select(eq(absolute(x), 1.0), copysign(constant(math.inf, F32), x), found)


BELL = 1 / math.sqrt(2 * math.pi)


@floating
def normal_pdf(x):
    return mul(exp_down(mul(mul(x, x), -0.5)), BELL)


@floating
def normal_cdf(x):
    """A tail is e^(-x²/2) P(|x|), which the density shares; within 1e-7 of the largest value. In float64 by `erf`."""
    if x.dtype == F64:
        return mul(add(erf(mul(x, math.sqrt(0.5))), 1.0), 0.5)
    tail = mul(polynomial(minimum(absolute(x), 5.0), NORMAL[F32]), exp_down(mul(mul(x, x), -0.5)))
    return select(lt(x, 0.0), tail, sub(1.0, tail))


def quadrant(x):
    """(k, r): x = k π/2 + r, in float64."""
    parts = (1.5707963267948966, 6.123233995736766e-17)
    k = rint(mul(x, 2 / math.pi))
    return k, fma(k, constant(-parts[1], F64), fma(k, constant(-parts[0], F64), x))


TRUSTED = 1e6  # up to here the reduction above is exact enough; beyond, the C library's


def circular(offset, name):
    """sin (offset 0) and cos (offset 1) of float32, reduced in float64; float64 by the C library."""

    def function(x):
        if x.dtype == F64:
            return library(name)(x)
        if x.dtype != F32:
            raise Unrecordable(f"{name} of {x.dtype}")
        k, wide = quadrant(cast(minimum(maximum(x, -TRUSTED), TRUSTED), F64))
        turn = add(cast(k, INTEGER[F64]), offset)
        r = cast(wide, F32)
        z = mul(r, r)
        sine = fma(mul(r, z), polynomial(z, SIN[F32]), r)
        cosine = fma(mul(z, z), polynomial(z, COS[F32]), fma(z, constant(-0.5, F32), constant(1.0, F32)))
        odd = ne(Symbol("and", (turn, constant(1, turn.dtype)), turn.dtype), 0)
        minus = ne(Symbol("and", (turn, constant(2, turn.dtype)), turn.dtype), 0)
        value = select(odd, cosine, sine)
        value = select(minus, neg(value), value)
        if not offset:
            value = select(eq(x, 0.0), x, value)
        far = Symbol("xor", (le(absolute(x), TRUSTED), constant(1, BOOL)), BOOL)
        return Symbol("rescue", (x, value, far), F32, name)

    return function


sin, cos = circular(0, "sin"), circular(1, "cos")


EXACT = {F32: 2.0**23, F64: 2.0**52}  # below these a quotient's whole part is known but for the last rounding


def floats_of(name, a, b):
    """Two operands in their common dtype, which must be a float."""
    dtype = common_dtype(a, b)
    if dtype not in (F32, F64):
        raise Unrecordable(f"{name} of {dtype}")
    return as_symbol(a, dtype), as_symbol(b, dtype)


def fmod(a, b):
    """What is left of a after whole multiples of b, exactly, with the sign of a.

    A quotient may be rounded up to the next whole number; what is left is then below 0, by b too little. Where the
    quotient is too large to be whole by itself, the C library's function is called.
    """
    a, b = floats_of("fmod", a, b)
    size, by = absolute(a), absolute(b)
    quotient = trunc(div(size, by))
    rest = fma(neg(quotient), by, size)
    rest = select(lt(rest, 0.0), add(rest, by), rest)
    value = copysign(select(lt(size, by), size, rest), a)
    return Symbol("rescue", (a, b, value, ge(quotient, EXACT[a.dtype])), a.dtype, "fmod")


def falls_short(rest, b):
    """Whether a remainder lies on the other side of 0 than the divisor."""
    return Symbol("and", (ne(rest, 0.0), Symbol("xor", (lt(b, 0.0), lt(rest, 0.0)), BOOL)), BOOL)


def remainder(a, b):
    """With the sign of the divisor."""
    if common_dtype(a, b).kind != "f":
        return whole_quotient(a, b)[1]
    a, b = floats_of("remainder", a, b)
    rest = fmod(a, b)
    return select(falls_short(rest, b), add(rest, b), rest)


def floor_divide(a, b):
    """The whole part of a / b, by way of the exact remainder: a quotient that is almost whole isn't rounded up."""
    if common_dtype(a, b).kind != "f":
        return whole_quotient(a, b)[0]
    a, b = floats_of("floor_divide", a, b)
    rest, plain = fmod(a, b), div(a, b)
    quotient = div(sub(a, rest), b)
    quotient = select(falls_short(rest, b), sub(quotient, 1.0), quotient)
    whole = floor(quotient)
    whole = select(gt(sub(quotient, whole), 0.5), add(whole, 1.0), whole)
    whole = select(eq(quotient, 0.0), copysign(constant(0.0, a.dtype), plain), whole)
    return select(eq(b, 0.0), plain, whole)


def hypot(a, b):
    """In float32, whose squares don't leave float64; float64 by the C library."""
    a, b = floats_of("hypot", a, b)
    if a.dtype == F64:
        return library("hypot")(a, b)
    x, y = cast(a, F64), cast(b, F64)
    endless = Symbol("or", (isinf(a), isinf(b)), BOOL)  # beside NaN, too
    return select(endless, constant(math.inf, F32), cast(sqrt(fma(x, x, mul(y, y))), F32))


# NumPy computes these with Intel's vector functions where the processor has AVX-512: fifty times as fast as one call of
# the C library after the other.
VECTOR_FUNCTIONS = {
    "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh", "cbrt", "pow", "log2", "log10",
}  # fmt: skip
OWN_LOOPS = {"hypot"}  # in which NumPy calls the C library itself, in the elements' own precision


def numpys_is_quicker(name):
    """Whether NumPy's loop over elements beats one that calls the C library's function of this name."""
    features = np._core._multiarray_umath.__cpu_features__
    return name in OWN_LOOPS or (name in VECTOR_FUNCTIONS and sys.platform == "linux" and features.get("AVX512_SKX"))


def library(name):
    """The C library's function of one float64, for each element; float32 passes through float64."""

    def function(*operands):
        if numpys_is_quicker(name):
            raise Unrecordable(f"{name}, of which NumPy has a quicker one")
        dtype = common_dtype(*operands)
        if dtype.kind != "f":
            raise Unrecordable(f"{name} of {dtype}")
        wide = tuple(cast(as_symbol(x, dtype), F64) for x in operands)
        return cast(Symbol("library", wide, F64, name), dtype)

    return function


erfc, lgamma = library("erfc"), library("lgamma")
pow_of_library = library("pow")


def power(a, b):
    """Small whole powers as products, roots as roots, all others by the C library."""
    if is_weak(b) and a.dtype.kind == "f":
        if b in (1, 2, 3, 4):
            result = a
            for _ in range(int(b) - 1):
                result = mul(result, a)
            return result
        if b == 0.5:
            return sqrt(a)
        if b == -1:
            return div(1.0, a)
    return pow_of_library(a, b)


def rsqrt(x):
    return div(1.0, sqrt(x))


def logaddexp(a, b):
    """log(e^a + e^b), from the larger on."""
    most, least = maximum(a, b), minimum(a, b)
    same = eq(most, least)  # infinities of one sign: their difference would be NaN
    difference = select(same, constant(0.0, most.dtype), sub(least, most))
    return add(most, log1p(exp(difference)))


UFUNCS.update({
    "exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log1p": log1p, "log2": log_in_base(2),
    "log10": log_in_base(10), "tanh": tanh, "sin": sin, "cos": cos, "power": power, "float_power": power,
    "logaddexp": logaddexp,
    **{name: library(name) for name in ("tan", "sinh", "cosh", "cbrt")},
    **{f"arc{name}": library(f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "hypot": hypot, "fmod": fmod, "remainder": remainder, "floor_divide": floor_divide,
})  # fmt: skip
Symbol.__pow__ = power
