"""Special functions and their derivatives: the gamma function's family, the inverse error function, Bessel functions."""

import math

from wengert.kernels import pointwise as elementary
from wengert.kernels import special as kernels
from wengert.ops.declare import composite, pointwise
from wengert.ops.pointwise import exp, log

polygamma_of = pointwise(
    "polygamma_of", lambda input, n: kernels.polygamma(n, input), promote="float", tensors=("input",), function=False,
    method=False, node="PolygammaBackward0", input=lambda g, input, n: g * polygamma_of(input, n + 1),
)  # fmt: skip
digamma = pointwise(
    "digamma", kernels.digamma, promote="float", input=lambda g, input: g * polygamma_of(input, 1),
    doc="The derivative of `lgamma`.",
)  # fmt: skip
lgamma = pointwise(
    "lgamma", elementary.lgamma, promote="float", input=lambda g, input: g * digamma(input),
    doc="The logarithm of the gamma function's absolute value.",
)  # fmt: skip
erfinv = pointwise(
    "erfinv", kernels.erfinv, promote="float", input=lambda g, out: g * (exp(out * out) * (math.sqrt(math.pi) / 2)),
    doc="The inverse of `erf` on (-1, 1).",
)  # fmt: skip
i1 = pointwise("i1", kernels.i1, promote="float", namespace="special", method=False, inplace=False, doc="The modified Bessel function of order 1.")
i0 = pointwise(
    "i0", kernels.i0, promote="float", input=lambda g, input: g * i1(input), doc="The modified Bessel function of order 0."
)
igamma = pointwise(
    "igamma", kernels.gammainc, promote="float",
    other=lambda g, input, other: g * exp((input - 1) * log(other) - other - lgamma(input)),
    doc="The regularized lower incomplete gamma function P(input, other).",
)  # fmt: skip
igammac = pointwise(
    "igammac", kernels.gammaincc, promote="float",
    other=lambda g, input, other: -(g * exp((input - 1) * log(other) - other - lgamma(input))),
    doc="The regularized upper incomplete gamma function Q(input, other).",
)  # fmt: skip


@composite(method=False)
def polygamma(n, input):
    """The n-th derivative of `digamma`."""
    return polygamma_of(input, n)


@composite
def mvlgamma(input, p):
    """The logarithm of the multivariate gamma function of dimension `p`; every element is greater than (p - 1) / 2."""
    if not p >= 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    constant = p * (p - 1) * math.log(math.pi) / 4
    total = lgamma(input)
    for i in range(1, p):
        total = total + lgamma(input - i / 2)
    return total + constant
