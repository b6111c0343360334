"""Elementary functions against NumPy's in twice the precision."""

import math

import numpy as np
import pytest

from wengert.kernels import cpu
from wengert.kernels.cpu import mathematics
from wengert.kernels.cpu.pointwise import Kernel

cpu.begin()

EDGES = [
    0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.0, 1e-45, -1e-45, 1e-40, -1e-40,
    1.1754944e-38, 3.4028235e38, -3.4028235e38, 88.72, 88.73, -87.33, -87.34, -103.9, -104.1, 709.7, 709.8,
    -745.1, -745.2, 1e-8, 5e-324, 2.2e-308, 1.7976931348623157e308, 0.625, 0.6249999, 1e6, 1.0000001e6, 1e30,
    4.0, 0.99999994, 1.0000001,
]  # fmt: skip


def samples(dtype):
    """Numbers of all sizes: uniformly spread bit patterns, and the neighbourhood of the edges."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32 if dtype == np.float32 else 2**64, 200_000, dtype=np.uint64)
    wild = bits.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
    with np.errstate(over="ignore"):
        edges = np.array(EDGES, np.float64).astype(dtype)
        near = np.concatenate([np.nextafter(edges, dtype(math.inf)), np.nextafter(edges, dtype(-math.inf))])
    plain = rng.uniform(-30, 30, 200_000).astype(dtype)
    small = rng.uniform(-1, 1, 200_000).astype(dtype)
    return np.concatenate([wild, edges, near, plain, small, np.exp(small * 80)])


FUNCTIONS = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log2": np.log2,
    "log10": np.log10, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
}
# What has kernels of its own has them on every processor; in float64 some are the C library's or NumPy's.
OWN = [(name, dtype) for name in FUNCTIONS for dtype in (np.float32, np.float64)
       if not (dtype is np.float64 and name in ("log2", "log10"))]  # fmt: skip  # fmt: skip


def assert_within(got, exact, ulps):
    """`got` (of its dtype) within so many units in the last place of `exact` (of a wider one)."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        distance = np.abs(got.astype(exact.dtype) - exact)
        fine = distance <= ulps * np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1))).astype(exact.dtype)
    wrong = ~(same | fine)
    assert not wrong.any(), f"{wrong.sum()} wrong, such as {got[wrong][:5]} for {exact[wrong][:5]}"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_two_units_in_float32_and_four_in_float64(name, dtype, monkeypatch):
    monkeypatch.setattr(mathematics, "numpys_is_quicker", lambda name: False)
    x = samples(dtype)
    kernel = Kernel(name, FUNCTIONS[name])
    got = kernel(x)
    assert not kernel.refusals
    exact = FUNCTIONS[name](x.astype(np.float64 if dtype == np.float32 else np.longdouble))
    assert_within(got, exact, 2 if dtype == np.float32 else 4)


@pytest.mark.parametrize(("name", "dtype"), OWN)
def test_no_processor_leaves_these_to_others(name, dtype):
    kernel = Kernel(name, FUNCTIONS[name])
    kernel(np.linspace(0.1, 3, 100).astype(dtype))
    assert not kernel.refusals


@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "sin"])
def test_minus_zero_stays_minus_zero(name):
    got = Kernel(name, FUNCTIONS[name])(np.full(100, -0.0, np.float32))
    assert (got == 0).all()
    assert np.signbit(got).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf(dtype):
    x = np.concatenate([np.linspace(-7, 7, 100_001), [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30]]).astype(dtype)
    exact = np.array([math.erf(v) for v in x.astype(np.float64)])
    assert_within(Kernel("erf", None, mathematics.erf)(x), exact, 2 if dtype == np.float32 else 4)


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1.2e-7), (np.float64, 3e-16)])
def test_normal_distribution(dtype, close):
    x = np.concatenate([np.linspace(-40, 40, 50_001), np.linspace(-6, 6, 50_001), [np.inf, -np.inf, np.nan]])
    x = x.astype(dtype)
    wide = x.astype(np.float64)
    cdf = [math.erfc(-v * math.sqrt(0.5)) / 2 for v in wide]
    found = Kernel("cdf", None, mathematics.normal_cdf)(x)
    np.testing.assert_allclose(found, cdf, rtol=0, atol=close)
    pdf = np.exp(-0.5 * wide * wide) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(Kernel("pdf", None, mathematics.normal_pdf)(x), pdf, rtol=0, atol=close)


def test_sigmoid():
    x = np.concatenate([np.linspace(-110, 110, 100_001), [np.inf, -np.inf, np.nan]]).astype(np.float32)
    with np.errstate(over="ignore"):
        exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    got = Kernel("sigmoid", None, mathematics.sigmoid)(x)
    normal = ~(exact < np.finfo(np.float32).tiny)
    assert_within(got[normal], exact[normal], 3)
    assert (got[~normal] < 2 * np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1, 2.5, -0.3, 0, 1])
def test_powers(exponent):
    x = np.abs(samples(np.float32))
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(np.float64), np.float64(np.float32(exponent)))  # as NumPy and PyTorch take it
    kernel = Kernel("pow", lambda x: np.power(x, exponent))
    assert_within(kernel(x), exact, 2)


def test_erfinv():
    rng = np.random.default_rng(0)
    near_one = 1 - 2.0 ** rng.uniform(-24, 0, 20_000)
    z = np.concatenate([rng.uniform(-3.5, 3.5, 100_000), 2.0 ** rng.uniform(-140, 0, 20_000), near_one])
    x = np.array([math.erf(v) for v in z]).astype(np.float32)
    x = x[np.abs(x) < 1]
    found = Kernel("erfinv", None, mathematics.erfinv)(x)
    # one step of Newton's method from what was found shows how far it was
    wide = found.astype(np.float64)
    rest = np.array([math.erf(v) if abs(v) < 0.5 else math.copysign(1 - math.erfc(abs(v)), v) for v in wide]) - x
    exact = wide - rest / (2 / math.sqrt(math.pi) * np.exp(-wide * wide))
    assert_within(found, exact, 2)


def test_erfinv_at_its_ends():
    x = np.array([0.0, -0.0, 1, -1, 1.5, -2, np.inf, np.nan, 1e-45], np.float32)
    found = Kernel("erfinv", None, mathematics.erfinv)(x)
    np.testing.assert_array_equal(found, [0, 0, np.inf, -np.inf, *[np.nan] * 4, np.float32(1e-45)])
    assert np.signbit(found).tolist()[:2] == [False, True]


# --- division with a remainder ----------------------------------------------------------------------------------------

DIVISIONS = {"fmod": np.fmod, "remainder": np.remainder, "floor_divide": np.floor_divide}


def pairs(dtype):
    """Dividends and divisors: all kinds of numbers, whole ones, multiples of each other."""
    rng = np.random.default_rng(1)
    x, y = samples(dtype), rng.permutation(samples(dtype))
    whole = rng.integers(-50, 50, (2, 50_000)).astype(dtype)
    tenth = dtype(0.1) * whole[0]
    return np.concatenate([x, whole[0], tenth]), np.concatenate([y, whole[1], np.full(50_000, 0.1, dtype)])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DIVISIONS)
def test_division_with_remainder_is_exact(name, dtype):
    x, y = pairs(dtype)
    kernel = Kernel(name, DIVISIONS[name])
    found, wanted = kernel(x, y), DIVISIONS[name](x, y)
    assert not kernel.refusals
    np.testing.assert_array_equal(found, wanted)
    if name != "remainder":  # of which a zero has the sign of the dividend in PyTorch, of the divisor in NumPy
        signed = wanted == wanted
        np.testing.assert_array_equal(np.signbit(found)[signed], np.signbit(wanted)[signed])


def test_a_remainder_of_zero_has_the_sign_of_the_dividend():
    x = np.resize(np.array([6, -6, 0.0, -0.0], np.float32), 100)
    found = Kernel("remainder", np.remainder)(x, np.full(100, -3, np.float32))
    assert (found == 0).all()
    np.testing.assert_array_equal(np.signbit(found), np.signbit(x))


@pytest.mark.parametrize("function", [np.floor_divide, np.remainder])
@pytest.mark.parametrize(("dtype", "divisor"), [
    (dtype, divisor) for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8)
    for divisor in (1, 2, 3, 7, 100, -1, -2, -7) if divisor > 0 or dtype is not np.uint8
])  # fmt: skip
def test_integers_by_a_number(function, dtype, divisor):
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max, 1000, dtype, endpoint=True)
    x[:2] = limits.min, limits.max
    kernel = Kernel("division", function)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(kernel(x, divisor), function(x, np.array(divisor, dtype)))
    assert not kernel.refusals


@pytest.mark.parametrize("function", [np.floor_divide, np.remainder])
def test_integers_by_what_may_be_zero_are_left_to_the_reference(function):
    for divisor in (0, np.ones(40, np.int32)):
        kernel = Kernel("division", function)
        with np.errstate(divide="ignore"):
            kernel(np.arange(40, dtype=np.int32), divisor)
        assert kernel.refusals


def test_hypot():
    x, y = (a[np.isfinite(a)] for a in pairs(np.float32))
    x, y = x[: len(y)], y[: len(x)]
    with np.errstate(over="ignore"):
        exact = np.hypot(x.astype(np.float64), y.astype(np.float64))
    assert_within(Kernel("hypot", np.hypot)(x, y), exact, 2)


def test_hypot_of_infinity_and_nan_is_infinite():
    x = np.full(100, np.nan, np.float32)
    assert (Kernel("hypot", None, mathematics.hypot)(x, np.full(100, -np.inf, np.float32)) == np.inf).all()
