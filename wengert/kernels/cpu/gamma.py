"""The gamma function's logarithm and that logarithm's derivatives, in the place of `wengert.kernels.special`.

For float32, in float64: what is lost where terms cancel is then far below what float32 can show. Arguments below 1/2
are reflected to 1 - x, small ones taken by the recurrence to where a polynomial or the asymptotic series holds:
Abramowitz and Stegun, 6.1.15-17 and 6.1.40, 6.3.5-7 and 6.3.18, 6.4.6-7 and 6.4.11.
"""

import math

import numpy as np

from wengert.kernels.cpu.expressions import (
    F32,
    F64,
    Symbol,
    Unrecordable,
    absolute,
    add,
    cast,
    compare,
    constant,
    div,
    fma,
    mul,
    neg,
    rint,
    seldom,
    select,
    sub,
)  # fmt: skip
from wengert.kernels.cpu.mathematics import COS, SIN, log, polynomial
from wengert.kernels.cpu.pointwise import Kernel
from wengert.kernels.special import BERNOULLI

eq, lt = map(compare, ("eq", "lt"))
LGAMMA = {  # of (2 + t), over t, for t within 1/2
    F64: (
        0.422784335098448634, 0.322467033424121899, -0.0673523010459478843, 0.0205808084243834267,
        -0.00738555149134728451, 0.00289051054777985773, -0.00119274287131886035, 0.00050966434596422195,
        -0.00022327966351536557, 0.0000995160982727565404, -0.0000442067410906264311, 0.0000201697870195840541,
        -0.0000114539435050601862, 5.31932151320478287e-6
    ),
}  # fmt: skip
NEAR = 8  # up to which the recurrence leads down to 2
RAISED = 6  # by how much a small argument is raised
FARTHEST = 8  # of the derivatives, the last for which the series serves after so few steps


def in_float64(function):
    """A function of float32 by way of float64; float64 itself, which would need more of the same, is refused."""

    def wide(x, *rest):
        if x.dtype != F32:
            raise Unrecordable(f"{function.__name__} of {x.dtype}")
        return cast(function(cast(x, F64), *rest), F32)

    return wide


def number(value):
    return constant(value, F64)


def reflected(x):
    """(whether x < 1/2, the argument at least 1/2 in its place)."""
    low = lt(x, 0.5)
    return low, select(low, sub(1.0, x), x)


def half_turn(x):
    """(sin, cos) of pi x."""
    r = sub(x, rint(x))
    size = absolute(r)
    steep = lt(size, 0.25)
    angle = mul(select(steep, size, sub(0.5, size)), math.pi)
    z = mul(angle, angle)
    sine = fma(mul(angle, z), polynomial(z, SIN[F64]), angle)
    cosine = fma(mul(z, z), polynomial(z, COS[F64]), fma(z, number(-0.5), number(1.0)))
    across = select(steep, sine, cosine)
    return select(lt(r, 0.0), neg(across), across), select(steep, cosine, sine)


def series(u, coefficients):
    """A polynomial in u²."""
    return polynomial(mul(u, u), coefficients)


@in_float64
def lgamma(x):
    """Up to 17/2 a polynomial about the zero at 2, reached by the recurrence; Stirling's series beyond."""
    low, y = reflected(x)
    near, first = lt(y, NEAR + 0.5), lt(y, 1.5)
    t = sub(y, 2.0)
    product = select(first, y, number(1.0))
    for k in range(1, NEAR - 1):
        beyond = lt(y, k + 1.5)
        t = select(beyond, t, sub(y, float(k + 2)))
        product = select(beyond, product, mul(product, sub(y, float(k))))
    t = select(first, sub(y, 1.0), t)
    logarithm = log(select(near, product, y))
    u = div(1.0, y)
    stirling = [b / ((2 * j + 2) * (2 * j + 1)) for j, b in enumerate(BERNOULLI[:6])]
    far = fma(sub(y, 0.5), logarithm, sub(0.5 * math.log(2 * math.pi), y))
    far = fma(u, series(u, stirling), far)
    close = fma(t, polynomial(t, LGAMMA[F64]), select(first, neg(logarithm), logarithm))
    found = select(near, close, far)
    found = seldom(low, sub(sub(math.log(math.pi), log(absolute(half_turn(x)[0]))), found), found)
    return select(eq(absolute(x), math.inf), number(math.inf), found)


class of_array:
    """lgamma of an array, for those who call the reference."""

    @staticmethod
    def beside(fallback):
        """As called where `fallback` is the reference."""
        return Kernel("lgamma", fallback, lgamma)


@in_float64
def digamma(x):
    """NaN at negative whole numbers, infinite at 0."""
    low, y = reflected(x)
    above, below = number(1.0), y  # of the sum of 1 / (y + k)
    for k in range(1, RAISED):
        factor = add(y, float(k))
        above, below = fma(above, factor, below), mul(below, factor)
    small = lt(y, RAISED + 0.5)
    z = select(small, add(y, float(RAISED)), y)
    lost = select(small, div(above, below), number(0.0))
    u = div(1.0, z)
    terms = [b / (2 * j + 2) for j, b in enumerate(BERNOULLI[:7])]
    found = sub(sub(log(z), lost), fma(mul(u, u), series(u, terms), mul(u, 0.5)))
    sine, cosine = half_turn(x)
    found = seldom(low, sub(found, div(mul(cosine, math.pi), sine)), found)
    pole = select(eq(x, 0.0), div(-1.0, x), number(math.nan))
    return select(Symbol("and", (low, eq(x, rint(x))), low.dtype), pole, found)


def cotangents(n):
    """The polynomial in c = cot(pi x), constant first, that is the n-th derivative of cot(pi x) / pi^n."""
    p = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(n):
        p = -p.deriv() * np.polynomial.Polynomial([1.0, 0.0, 1.0])
    return [float(c) for c in p.coef]


@in_float64
def polygamma_wide(x, n):
    """The n-th derivative of digamma: (-1)^(n+1) n! times the sum of (x + k)^-(n+1), its end by Euler and Maclaurin."""
    low, y = reflected(x)
    steps, s = RAISED + n, n + 1
    total = number(0.0)
    for k in range(steps):
        total = add(total, power(div(1.0, add(y, float(k))), s))
    u = div(1.0, add(y, float(steps)))
    terms = [b / math.factorial(2 * j + 2) * math.prod(range(s, s + 2 * j + 1)) for j, b in enumerate(BERNOULLI)]
    end = fma(mul(u, u), series(u, terms), fma(u, number(0.5), number(1 / n)))
    sign, scale = (-1.0) ** (n + 1), float(math.factorial(n))
    found = mul(fma(power(u, n), end, total), sign * scale)
    sine, cosine = half_turn(x)
    slope = mul(polynomial(div(cosine, sine), cotangents(n)), math.pi ** (n + 1))
    mirrored = sub(found if n % 2 == 0 else neg(found), slope)
    pole = Symbol("and", (low, eq(x, rint(x))), low.dtype)
    return select(pole, number(sign * math.inf), seldom(low, mirrored, found))


def power(x, n):
    result = x
    for _ in range(n - 1):
        result = mul(result, x)
    return result


def polygamma(x, n):
    if n == 0:
        return digamma(x)
    if not 0 < n <= FARTHEST:
        raise Unrecordable("a derivative of high order")
    return polygamma_wide(x, n)
