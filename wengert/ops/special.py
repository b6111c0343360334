"""``torch.special``: special functions, each beside its derivative."""

import math
import re
from functools import partial

from wengert.kernels import special as kernels
from wengert.ops import pointwise as elementary
from wengert.ops import reductions
from wengert.ops.declare import FUNCTIONS, choice, pointwise
from wengert.ops.pointwise import cos, exp, log, log1p, select, sgn, undifferentiated

PI, SQRT_PI, SQRT2 = math.pi, math.sqrt(math.pi), math.sqrt(2)

public = partial(pointwise, promote="float")


def special(name, kernel, **options):
    """Declare a function that `torch.special` alone has; its node is spelled as PyTorch's: ``SpecialI0EBackward0``."""
    camel = re.sub(r"(?:^|_|(?<=\d))[a-z]", lambda found: found[0].strip("_").upper(), name)
    here = {"promote": "float", "inplace": False, "method": False, "namespace": "special"}
    return pointwise(name, kernel, **{"node": f"Special{camel}Backward0", **here, **options})


def also(operation, *names):
    """Give an operation names in `torch.special`."""
    for name in names:
        FUNCTIONS.setdefault("special", {})[name] = operation
    return operation


# --- the gamma function and its kin -----------------------------------------------------------------------------------

digamma = public("digamma", kernels.digamma, input=lambda g, input: g * polygamma_of(input, 1))
lgamma = public("lgamma", kernels.lgamma, input=lambda g, input: g * digamma(input))
polygamma_of = pointwise(
    "polygamma",
    kernels.polygamma,
    promote="float",
    function=False,
    method=False,
    input=lambda g, input, n: g * polygamma_of(input, n + 1),
)
polygamma = choice("polygamma", lambda n, input: (polygamma_of, (input, n)), method=False, inplace=False)
choice("polygamma", lambda input, n: (polygamma_of, (input, n)), function=False)
mvlgamma = public("mvlgamma", kernels.mvlgamma, input=lambda g, input, p: g * sum_of_digammas(input, p))
igamma = public(
    "igamma",
    kernels.igamma,
    numbers=False,
    input=lambda g: undifferentiated("igamma: input"),
    other=lambda g, input, other: g * exp((input - 1) * log(other) - other - lgamma(input)),
)
igammac = public(
    "igammac",
    kernels.igammac,
    numbers=False,
    input=lambda g: undifferentiated("igammac: input"),
    other=lambda g, input, other: -g * exp((input - 1) * log(other) - other - lgamma(input)),
)
zeta = special(
    "zeta",
    kernels.zeta,
    input=lambda g: undifferentiated("zeta"),
    other=lambda g, input, other: g * (-input * zeta(input + 1, other)),
)


def sum_of_digammas(input, p):
    total = digamma(input)
    for j in range(1, p):
        total = total + digamma(input - 0.5 * j)
    return total


# --- error functions --------------------------------------------------------------------------------------------------

erfinv = public("erfinv", kernels.erfinv, input=lambda g, out: g * (SQRT_PI / 2 * exp(out * out)))
erfcx = special("erfcx", kernels.of_one("erfcx"), input=lambda g, input, out: g * (2 * input * out - 2 / SQRT_PI))
ndtr = special(
    "ndtr", kernels.of_one("ndtr"), input=lambda g, input: g * (exp(-0.5 * input * input) / math.sqrt(2 * PI))
)
ndtri = special("ndtri", kernels.of_one("ndtri"), input=lambda g, out: g * (math.sqrt(2 * PI) * exp(0.5 * out * out)))
log_ndtr = special(
    "log_ndtr",
    kernels.of_one("log_ndtr"),
    input=lambda g, input: g / erfcx(input * (-1 / SQRT2)) * math.sqrt(2 / PI),
)
entr = special("entr", kernels.entr, input=lambda g, input: g * (-log(input) - 1))
xlog1py = special(
    "xlog1py",
    kernels.xlog1py,
    input=lambda g, input, other: select((input == 0) & (other <= -1), 0, g * log1p(other)),
    other=lambda g, input, other: g * input / (other + 1),
)

# --- Bessel functions -------------------------------------------------------------------------------------------------

i0 = public("i0", kernels.of_one("i0"), input=lambda g, input: g * i1(input))
i1 = special("i1", kernels.of_one("i1"), input=lambda g, input, out: g * (i0(input) - over(out, input)))
i0e = special("i0e", kernels.of_one("i0e"), input=lambda g, input, out: g * (i1e(input) - sgn(input) * out))
i1e = special(
    "i1e",
    kernels.of_one("i1e"),
    input=lambda g, input, out: g * (i0e(input) - sgn(input) * out - over(out, input)),
)
j0 = special("bessel_j0", kernels.of_one("j0"), input=lambda g, input: -g * j1(input))
j1 = special("bessel_j1", kernels.of_one("j1"), input=lambda g, input, out: g * (j0(input) - over(out, input)))
y0 = special("bessel_y0", kernels.of_one("y0"), input=lambda g, input: -g * y1(input))
y1 = special("bessel_y1", kernels.of_one("y1"), input=lambda g, input, out: g * (y0(input) - out / input))
modified_i0 = special("modified_bessel_i0", kernels.of_one("i0"), input=lambda g, input: g * modified_i1(input))
modified_i1 = special(
    "modified_bessel_i1",
    kernels.of_one("i1"),
    input=lambda g, input, out: g * (modified_i0(input) - over(out, input)),
)
k0 = special("modified_bessel_k0", kernels.of_one("k0"), input=lambda g, input: -g * k1(input))
k1 = special("modified_bessel_k1", kernels.of_one("k1"), input=lambda g, input, out: -g * (k0(input) + out / input))
k0e = special("scaled_modified_bessel_k0", kernels.of_one("k0e"), input=lambda g, input, out: g * (out - k1e(input)))
k1e = special(
    "scaled_modified_bessel_k1",
    kernels.of_one("k1e"),
    input=lambda g, input, out: g * (out - k0e(input) - out / input),
)
spherical_j0 = special(
    "spherical_bessel_j0",
    kernels.spherical_bessel_j0,
    input=lambda g, input, out: g * select(input == 0, 0, over(cos(input) - out, input)),
)


def _airy_ai(input):
    return kernels.scipy_function("airy")(kernels.widened(input))[0].astype(input.dtype)


airy_ai = special("airy_ai", _airy_ai, input=lambda g: undifferentiated("special_airy_ai"))


def over(x, y):
    """x / y for functions like y / 2 near 0: one half there."""
    return select(y == 0, 0.5, x / select(y == 0, 1, y))


# --- orthogonal polynomials -------------------------------------------------------------------------------------------

for _name in kernels.POLYNOMIALS:
    for _prefix in ("shifted_", "") if _name.startswith("chebyshev") else ("",):
        _operation = special(
            _prefix + _name,
            kernels.polynomial(_prefix + _name),
            tensors=("x", "n"),
            x=lambda g: undifferentiated("special polynomials"),
        )
        _operation.doc = f"The polynomial of degree `n` at `x`: {(_prefix + _name).replace('_', ' ')}."

# --- names of what is declared elsewhere ------------------------------------------------------------------------------

for _operation, _names in (
    (digamma, ("digamma", "psi")),
    (lgamma, ("gammaln",)),
    (polygamma, ("polygamma",)),
    (mvlgamma, ("multigammaln",)),
    (igamma, ("gammainc",)),
    (igammac, ("gammaincc",)),
    (erfinv, ("erfinv",)),
    (i0, ("i0",)),
    (elementary.erf, ("erf",)),
    (elementary.erfc, ("erfc",)),
    (elementary.exp2, ("exp2",)),
    (elementary.expm1, ("expm1",)),
    (elementary.log1p, ("log1p",)),
    (elementary.sigmoid, ("expit",)),
    (elementary.logit, ("logit",)),
    (elementary.sinc, ("sinc",)),
    (elementary.round, ("round",)),
    (elementary.xlogy, ("xlogy",)),
    (reductions.logsumexp, ("logsumexp",)),
    (reductions.softmax, ("softmax",)),
    (reductions.log_softmax, ("log_softmax",)),
):
    also(_operation, *_names)
