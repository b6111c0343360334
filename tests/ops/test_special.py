"""Special functions: known values, identities, derivatives against finite differences; what needs SciPy says so."""

import builtins
import math

import numpy as np
import pytest

import wengert
from wengert.autograd import gradcheck
from wengert.kernels import special as kernels

WITHOUT_SCIPY = ["digamma", "lgamma", "erfinv", "i0"]


@pytest.fixture
def no_scipy(monkeypatch):
    found = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "scipy":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_known_values():
    x = wengert.tensor([0.5, 1.0, 5.0], dtype=wengert.float64)
    euler = 0.5772156649015329
    np.testing.assert_allclose(x.digamma().numpy(), [-euler - 2 * math.log(2), -euler, 25 / 12 - euler])
    np.testing.assert_allclose(x.lgamma().exp().numpy(), [math.sqrt(math.pi), 1, 24])
    np.testing.assert_allclose(wengert.polygamma(1, x).numpy()[:2], [math.pi**2 / 2, math.pi**2 / 6])
    np.testing.assert_allclose(wengert.special.zeta(2 * x[1:2], x[1:2]).numpy(), [math.pi**2 / 6])
    np.testing.assert_allclose(wengert.special.entr(x).numpy(), -x.numpy() * np.log(x.numpy()))
    np.testing.assert_allclose(wengert.mvlgamma(x[2:], 1).numpy(), [math.log(24)])


def test_the_few_that_need_no_scipy(no_scipy):
    x = wengert.tensor([-2.5, -0.3, 0.2, 0.7, 9.0, 30.0], dtype=wengert.float64)
    step = 1e-6
    numeric = [(math.lgamma(v + step) - math.lgamma(v - step)) / (2 * step) for v in x.tolist()]
    np.testing.assert_allclose(x.digamma().numpy(), numeric, rtol=1e-7)
    y = wengert.tensor([-0.999, -0.5, 0.0, 1e-8, 0.3, 0.99999], dtype=wengert.float64)
    np.testing.assert_allclose(y.erfinv().erf().numpy(), y.numpy(), rtol=1e-12)
    assert wengert.tensor([1.0, -1.0, 2.0]).erfinv().tolist()[:2] == [math.inf, -math.inf]
    np.testing.assert_allclose(wengert.i0(wengert.tensor(1.0, dtype=wengert.float64)).item(), 1.2660658777520084)


def test_the_others_say_what_to_install(no_scipy):
    with pytest.raises(ImportError, match=r"wengert\[scipy\]"):
        wengert.special.ndtr(wengert.ones(2))


POSITIVE = [
    "digamma",
    "lgamma",
    "i0",
    "erfinv",
    "entr",
    "ndtr",
    "ndtri",
    "log_ndtr",
    "erfcx",
    "i0e",
    "i1",
    "i1e",
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "modified_bessel_i0",
    "modified_bessel_i1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "spherical_bessel_j0",
]


@pytest.mark.parametrize("name", POSITIVE)
def test_derivatives(name):
    pytest.importorskip("scipy", reason="most special functions are SciPy's")
    function = getattr(wengert.special, name if name != "lgamma" else "gammaln")
    x = wengert.tensor([0.15, 0.4, 0.8], dtype=wengert.float64, requires_grad=True)
    assert gradcheck(function, [x])


def test_derivatives_of_two_arguments():
    pytest.importorskip("scipy", reason="most special functions are SciPy's")
    a = wengert.tensor([0.5, 1.5], dtype=wengert.float64)
    x = wengert.tensor([0.7, 2.0], dtype=wengert.float64, requires_grad=True)
    assert gradcheck(lambda x: wengert.igamma(a, x), [x])
    assert gradcheck(lambda x: wengert.igammac(a, x), [x])
    assert gradcheck(lambda x: wengert.special.zeta(a + 2, x), [x])
    assert gradcheck(wengert.special.xlog1py, [x, a.clone().requires_grad_()])
    assert gradcheck(lambda x: wengert.mvlgamma(x + 2, 3), [x])
    with pytest.raises(NotImplementedError, match="igamma"):
        wengert.igamma(x, a).sum().backward()


def test_polynomials():
    x = np.linspace(-1, 1, 5)
    given = wengert.tensor(x)
    np.testing.assert_allclose(
        wengert.special.chebyshev_polynomial_t(given, 4).numpy(), 8 * x**4 - 8 * x**2 + 1, atol=1e-12
    )
    np.testing.assert_allclose(
        wengert.special.legendre_polynomial_p(given, 3).numpy(), (5 * x**3 - 3 * x) / 2, atol=1e-12
    )
    np.testing.assert_allclose(wengert.special.hermite_polynomial_he(given, 3).numpy(), x**3 - 3 * x, atol=1e-12)
    np.testing.assert_allclose(
        wengert.special.laguerre_polynomial_l(given, 2).numpy(), (x**2 - 4 * x + 2) / 2, atol=1e-12
    )
    shifted = wengert.special.shifted_chebyshev_polynomial_t(given, 2)
    np.testing.assert_allclose(shifted.numpy(), 2 * (2 * x - 1) ** 2 - 1, atol=1e-12)


def test_polynomials_of_degrees_element_by_element():
    degrees = wengert.tensor([0.0, 1.0, 2.0, -1.0])
    assert wengert.special.hermite_polynomial_h(wengert.full((4,), 3.0), degrees).tolist() == [1, 6, 34, 0]


def test_half_precision_passes_through_single():
    assert wengert.tensor([2.0]).bfloat16().lgamma().dtype is wengert.bfloat16
    assert wengert.tensor([2]).digamma().dtype is wengert.float32


def test_hurwitz_at_its_poles():
    assert kernels.hurwitz(2.0, np.array([0.0, -3.0])).tolist() == [math.inf, math.inf]
