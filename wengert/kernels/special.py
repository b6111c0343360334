"""Special functions: SciPy's where it is installed; the few that common programs need also without it.

What is 16 bits wide is computed in single precision.
"""

import math

import numpy as np

from wengert.kernels.pointwise import lgamma as lgamma_of


def scipy_function(name):
    """A function of `scipy.special`, or what stands in for it; raises ImportError that says what to install."""
    try:
        from scipy import special
    except ImportError:
        if name in STAND_INS:
            return STAND_INS[name]
        raise ImportError(f"{name} is computed by SciPy, which isn't installed: pip install 'wengert[scipy]'") from None
    return getattr(special, name)


def widened(x):
    if x.dtype.kind == "c":
        raise NotImplementedError("special functions are not implemented for complex numbers")
    return x if x.dtype.kind == "f" and x.dtype.itemsize >= 4 else x.astype(np.float32)


def of_one(name):
    """The kernel that applies a function of `scipy.special` to every element."""

    def kernel(input):
        return np.asarray(scipy_function(name)(widened(input))).astype(input.dtype, copy=False)

    kernel.__name__ = name
    return kernel


erfinv = of_one("erfinv")


def digamma(input):
    """As PyTorch has it: -+inf at +-0, NaN at negative integers."""
    x = widened(input)
    result = np.asarray(scipy_function("psi")(x))
    result = np.where(x == 0, np.copysign(np.inf, -x), result)
    return result.astype(input.dtype, copy=False)


def lgamma(input):
    if input.dtype.kind == "c":
        raise NotImplementedError('"lgamma_cpu" not implemented for complex numbers')
    return lgamma_of(input)


def polygamma(input, n):
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return digamma(input)
    x = widened(input).astype(np.float64)
    value = (-1.0) ** (n + 1) * math.gamma(n + 1.0) * np.asarray(zeta_of_positive(n + 1.0, x))
    return np.asarray(value).astype(input.dtype)


def zeta_of_positive(s, q):
    """`hurwitz` for a number s > 1: SciPy's where it is installed, which knows q > 0 only."""
    if q.size and np.minimum.reduce(q, None) > 0:
        try:
            return scipy_function("zeta")(s, q)
        except ImportError:
            pass
    return hurwitz(s, q)


def hurwitz(s, q):
    """The zeta function of Hurwitz, by Euler-Maclaurin summation; infinite at q = 0, -1, ...

    Negative q: for integer s the shifted sum is carried on, as PyTorch does.
    """
    s, q = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(q, np.float64))
    with np.errstate(all="ignore"):
        shift = np.where(q < 0, np.minimum(np.ceil(-q), 1e4), 0)
        total = np.zeros(q.shape)
        steps = int(shift.max(initial=0)) + 12
        for k in range(steps):
            total = total + (q + k) ** -s
        a = q + steps
        total = total + a ** (1 - s) / (s - 1) + 0.5 * a**-s
        factor, power = s.copy(), a ** (-s - 1)
        for j, bernoulli in enumerate(BERNOULLI):
            total = total + bernoulli * factor * power / math.factorial(2 * j + 2)
            factor = factor * (s + 2 * j + 1) * (s + 2 * j + 2)
            power = power / (a * a)
        pole = (q <= 0) & (q == np.floor(q))
        whole = s == np.floor(s)
        total = np.where(pole, np.inf, np.where((q < 0) & ~whole, np.nan, total))
        return np.where(s == 1, np.inf, np.where(s < 1, np.nan, total))


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)


def zeta(input, other):
    return hurwitz(widened(input), widened(other)).astype(input.dtype)


def mvlgamma(input, p):
    """log of the multivariate gamma function: p (p - 1) / 4 log pi + the sum of lgamma(x - j / 2) over j < p."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    total = 0.25 * p * (p - 1) * math.log(math.pi)
    for j in range(p):
        total = total + lgamma_of(input - np.asarray(0.5 * j, input.dtype))
    return np.asarray(total).astype(input.dtype)


def igamma(input, other):
    return incomplete("gammainc", input, other)


def igammac(input, other):
    return incomplete("gammaincc", input, other)


def incomplete(name, a, x):
    return np.asarray(scipy_function(name)(widened(a), widened(x))).astype(a.dtype)


def xlog1py(input, other):
    with np.errstate(all="ignore"):
        result = np.where(input == 0, 0, input * np.log1p(other))
    return np.where(np.isnan(other), np.nan, result).astype(np.result_type(input, other))


def entr(input):
    with np.errstate(all="ignore"):
        safe = np.where(input > 0, input, 1)
        result = np.where(input > 0, -input * np.log(safe), np.where(input == 0, 0, -np.inf))
    return np.where(input != input, input, result).astype(input.dtype)


def spherical_bessel_j0(input):
    safe = np.where(input == 0, 1, input)
    return np.where(np.isinf(input), 0, np.where(input == 0, 1, np.sin(safe) / safe)).astype(input.dtype)


# --- what stands in for SciPy -----------------------------------------------------------------------------------------


def psi(x):
    """Recurrence up to 6, reflection for negative numbers, then the asymptotic series: Abramowitz and Stegun 6.3.18."""
    wide = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        mirrored = wide < 0
        y = np.where(mirrored, 1 - wide, wide)
        result = np.zeros_like(y)
        for _ in range(7):
            low = y < 7
            result = result - np.where(low, 1 / y, 0)
            y = np.where(low, y + 1, y)
        square = 1 / (y * y)
        series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square * (1 / 132)))))
        result = result + np.log(y) - 0.5 / y - series
        result = np.where(mirrored, result - math.pi / np.tan(math.pi * wide), result)
        return np.where(mirrored & (wide == np.floor(wide)), np.nan, result).astype(np.asarray(x).dtype)


def erfinv_by_newton(x):
    """A first guess (S. Winitzki, 2008) and Newton's method on the standard library's erf."""
    y = np.asarray(x, np.float64)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    with np.errstate(all="ignore"):
        inside = np.abs(y) < 1
        safe = np.where(inside, y, 0)
        logarithm = np.log1p(-safe * safe)
        middle = 2 / (math.pi * 0.147) + logarithm / 2
        z = np.copysign(np.sqrt(np.sqrt(middle * middle - logarithm / 0.147) - middle), safe)
        for _ in range(4):
            error = (erf(z) if z.size else z) - safe
            step = error / (2 / math.sqrt(math.pi) * np.exp(-z * z))
            z = z - step / (1 + z * step)
        result = np.where(inside, z, np.where(np.abs(y) == 1, np.copysign(np.inf, y), np.nan))
    return result.astype(np.asarray(x).dtype)


STAND_INS = {
    "psi": psi,
    "erfinv": erfinv_by_newton,
    "i0": lambda x: np.i0(x).reshape(np.shape(x)).astype(np.asarray(x).dtype),
}

# --- orthogonal polynomials, by their recurrences: Abramowitz and Stegun, table 22.7 ----------------------------------

POLYNOMIALS = {  # name: (degree 1, the next from x, k, the last and the one before)
    "chebyshev_polynomial_t": (lambda x: x, lambda x, k, p, q: 2 * x * p - q),
    "chebyshev_polynomial_u": (lambda x: 2 * x, lambda x, k, p, q: 2 * x * p - q),
    "chebyshev_polynomial_v": (lambda x: 2 * x - 1, lambda x, k, p, q: 2 * x * p - q),
    "chebyshev_polynomial_w": (lambda x: 2 * x + 1, lambda x, k, p, q: 2 * x * p - q),
    "hermite_polynomial_h": (lambda x: 2 * x, lambda x, k, p, q: 2 * x * p - 2 * k * q),
    "hermite_polynomial_he": (lambda x: x, lambda x, k, p, q: x * p - k * q),
    "laguerre_polynomial_l": (lambda x: 1 - x, lambda x, k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1)),
    "legendre_polynomial_p": (lambda x: x, lambda x, k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1)),
}


def polynomial(name):
    shifted = name.startswith("shifted_")
    first, step = POLYNOMIALS[name.removeprefix("shifted_")]

    def kernel(x, n):
        if x.dtype.itemsize < 4 or x.dtype.kind not in "f":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Half'")
        x, n = np.broadcast_arrays(2 * x - 1 if shifted else x, n)
        degree = np.where(np.isfinite(n), n, -1).astype(np.int64)
        with np.errstate(all="ignore"):
            before, last = np.ones_like(x), np.asarray(first(x), x.dtype)
            result = np.where(degree == 0, before, np.where(degree == 1, last, 0)).astype(x.dtype)
            for k in range(1, int(degree.max(initial=0))):
                before, last = last, np.asarray(step(x, k, last, before), x.dtype)
                result = np.where(degree == k + 1, last, result)
        return result

    kernel.__name__ = name
    return kernel
