"""The gamma function's kin in float32, against float64."""

import math

import numpy as np
import pytest

from tests.kernels.cpu.test_mathematics import assert_within
from wengert.kernels import cpu, special
from wengert.kernels.cpu import gamma
from wengert.kernels.cpu.expressions import F64, Unrecordable
from wengert.kernels.cpu.pointwise import Kernel

cpu.begin()
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, 2, 0.5, -0.5, -1, -2, -7, 1.5, 2.5, 8.5, 1e-40, -1e-40, 3e38])


def samples():
    rng = np.random.default_rng(0)
    wild = rng.integers(0, 1 << 32, 20_000, dtype=np.uint32).view(np.float32)
    with np.errstate(over="ignore"):
        edges = EDGES.astype(np.float32)
        near = np.concatenate([np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(-np.inf))])
    spans = ((-8, 0), (0, 20), (0.9, 2.1), (1.4, 1.5), (0, 1e4))
    plain = [rng.uniform(*span, 5000).astype(np.float32) for span in spans]
    return np.concatenate([wild, edges, near, *plain])


def computed(formula, x, *rest):
    kernel = Kernel("gamma", None, lambda x: formula(x, *rest))
    found = kernel(x)
    assert not kernel.refusals
    return found


def logarithm(x):
    if x != x or math.isinf(x):
        return abs(x)
    return math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x)


def test_lgamma():
    x = samples()
    assert_within(computed(gamma.lgamma, x), np.array([logarithm(float(v)) for v in x]), 2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_digamma():
    x = samples()
    # what stands in for SciPy's is less exact near the function's zeros, and reduces no angles
    usual = (np.abs(x) < 1e3) & (np.abs(x - 1.4616321) > 1e-2) & ((x > 0) | (np.abs(special.psi(x)) > 0.1))
    assert_within(computed(gamma.digamma, x)[usual], special.psi(x.astype(np.float64))[usual], 2)


def test_digamma_has_poles():
    x = np.array([0.0, -0.0, -1, -5, -np.inf, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(computed(gamma.digamma, x), [-np.inf, np.inf, *[np.nan] * 3, np.inf, np.nan])


@pytest.mark.parametrize("n", range(1, gamma.FARTHEST + 1))
def test_polygamma(n):
    x = samples()
    x = x[(np.abs(x) < 1e3) & (np.abs(x) > 1e-3)]
    with np.errstate(all="ignore"):
        exact = (-1.0) ** (n + 1) * math.factorial(n) * special.hurwitz(n + 1.0, x.astype(np.float64))
    if n % 2 == 0:  # those of even order have zeros where x is negative
        x, exact = x[x > 0], exact[x > 0]
    assert_within(computed(gamma.polygamma, x, n), exact, 2)


@pytest.mark.parametrize("n", [1, 2])
def test_polygamma_at_its_ends(n):
    x = np.array([0.0, -1, -3, -np.inf, np.inf, np.nan, 1e-40], np.float32)
    pole = math.inf if n % 2 else -math.inf
    np.testing.assert_array_equal(computed(gamma.polygamma, x, n), [*[pole] * 4, 0, np.nan, pole])


@pytest.mark.parametrize("formula", [gamma.lgamma, gamma.digamma, lambda x: gamma.polygamma(x, 1)])
def test_float64_is_left_to_the_reference(formula):
    with pytest.raises(Unrecordable):
        Kernel("gamma", None, formula).record((np.ones(3, F64),), {}, [0])


def test_derivatives_of_high_order_are_left_to_the_reference():
    with pytest.raises(Unrecordable):
        Kernel("polygamma", None, gamma.polygamma).record((np.ones(3, np.float32), gamma.FARTHEST + 1), {}, [0])
