"""The polynomials of mathematics.py and gamma.py in wengert/kernels/cpu: fitted here, printed as they stand there.

Each approximates a function on an interval; the best polynomial is approached by interpolation at Chebyshev's points
(within a factor of about 2 of the smallest error possible), in 60 digits, with mpmath. Run:

    python tools/fit_polynomials.py
"""

import mpmath as mp

mp.mp.dps = 60


def fit(f, low, high, degree):
    """The coefficients, constant first, of the polynomial of this degree that interpolates `f` on [low, high]."""
    n = degree + 1
    middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    points = [middle + half * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    matrix = mp.matrix(n, n)
    for i, x in enumerate(points):
        for j in range(n):
            matrix[i, j] = x**j
    return list(mp.lu_solve(matrix, mp.matrix([f(x) for x in points])))


def exp_tail(r):
    """(e^r - 1 - r) / r²."""
    return mp.mpf(1) / 2 + r / 6 if abs(r) < mp.mpf(10) ** -20 else (mp.expm1(r) - r) / r**2


def log_tail(z):
    """With s = sqrt(z): (log((1 + s) / (1 - s)) - 2 s) / s³ = 2/3 + 2/5 z + ..."""
    s = mp.sqrt(z)
    return mp.mpf(2) / 3 if z == 0 else (2 * mp.atanh(s) - 2 * s) / s**3


def tanh_tail(z):
    """(tanh(x) - x) / x³ with x = sqrt(z)."""
    x = mp.sqrt(z)
    return -mp.mpf(1) / 3 if z == 0 else (mp.tanh(x) - x) / x**3


def erf_head(z):
    """erf(x) / x - 1 with x = sqrt(z)."""
    x = mp.sqrt(z)
    return (2 / mp.sqrt(mp.pi) if z == 0 else mp.erf(x) / x) - 1


def erfc_exponent(x):
    """-log(erfc(x)) - x²: smooth, and nearly a logarithm."""
    return -mp.log(mp.erfc(x)) - x * x


def normal_tail(x):
    """The normal distribution's upper tail over e^(-x²/2)."""
    return mp.erfc(x / mp.sqrt(2)) / 2 * mp.exp(x * x / 2)


def sin_tail(z):
    x = mp.sqrt(z)
    return -mp.mpf(1) / 6 if z == 0 else (mp.sin(x) - x) / x**3


def cos_tail(z):
    """(cos(x) - 1 + x²/2) / x⁴."""
    x = mp.sqrt(z)
    return mp.mpf(1) / 24 if z == 0 else (mp.cos(x) - 1 + z / 2) / z**2


def lgamma_head(t):
    """lgamma(2 + t) / t."""
    return mp.loggamma(2 + t) / t


def erfinv_middle(w):
    """erfinv(x) / x, with w = -log(1 - x²)."""
    if w == 0:
        return mp.sqrt(mp.pi) / 2
    x = mp.sqrt(-mp.expm1(-w))
    return mp.erfinv(x) / x


def erfinv_end(t):
    """The same, with t = sqrt(-log(1 - x²)) - 3."""
    return erfinv_middle((t + 3) ** 2)


half_ln2 = mp.log(2) / 2 * mp.mpf("1.0001")
quarter_pi = (mp.pi / 4 * mp.mpf("1.0001")) ** 2
s_max = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf("1.001")

TABLES = {  # name: (function, low, high, degree in float32, degree in float64)
    "EXP": (exp_tail, -half_ln2, half_ln2, 4, 10),
    "LOG": (log_tail, 0, s_max, 3, 7),
    "TANH": (tanh_tail, 0, mp.mpf("0.625") ** 2, 5, 12),
    "ERF": (erf_head, 0, 1, 6, None),
    "ERFC": (erfc_exponent, 1, 4, 9, None),
    "NORMAL": (normal_tail, 0, 5, 13, None),
    "SIN": (sin_tail, 0, quarter_pi, 3, 6),
    "COS": (cos_tail, 0, quarter_pi, 3, 6),
    "ERFINV": (erfinv_middle, 0, 5, 9, None),
    "ERFINV_TAIL": (erfinv_end, mp.sqrt(5) - 3, mp.mpf("1.02"), 9, None),
    "LGAMMA": (lgamma_head, -0.5, 0.5, None, 13),  # in gamma.py
}


def error(f, low, high, coefficients):
    """The largest relative error at many points."""
    worst = mp.mpf(0)
    for i in range(400):
        x = mp.mpf(low) + (mp.mpf(high) - low) * i / 399
        value = f(x)
        if value:
            worst = max(worst, abs(mp.polyval(coefficients[::-1], x) / value - 1))
    return worst


def main():
    for name, (f, low, high, *degrees) in TABLES.items():
        print(f"{name} = {{")
        for dtype, degree in zip(("F32", "F64"), degrees, strict=True):
            if degree is None:
                continue
            coefficients = fit(f, low, high, degree)
            numbers = ", ".join(mp.nstr(c, 9 if dtype == "F32" else 18) for c in coefficients)
            print(f"    {dtype}: ({numbers}),  # within {mp.nstr(error(f, low, high, coefficients), 2)}")
        print("}")


if __name__ == "__main__":
    main()
