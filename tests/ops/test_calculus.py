"""Integrals, differences, statistics and quantiles agree with NumPy's."""

import numpy as np
import pytest

import wengert
from wengert.autograd import gradcheck

RNG = np.random.default_rng(0)
Y = RNG.standard_normal((3, 5))
POINTS = np.array([0.0, 0.5, 2.0, 2.5, 4.0])


def close(result, expected):
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-12)


def test_trapezoid():
    y, x = wengert.tensor(Y), wengert.tensor(POINTS)
    close(wengert.trapezoid(y), np.trapezoid(Y))
    close(wengert.trapz(y, x), np.trapezoid(Y, POINTS))
    close(wengert.trapezoid(y, dx=2, dim=0), np.trapezoid(Y, dx=2, axis=0))
    close(wengert.cumulative_trapezoid(y, x)[:, -1], np.trapezoid(Y, POINTS))
    assert wengert.trapezoid(wengert.ones(2, 0)).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="one `x` value for each sample"):
        wengert.trapezoid(y, x[:3])


def test_diff():
    y = wengert.tensor(Y)
    close(y.diff(), np.diff(Y))
    close(y.diff(2, 0, prepend=y[:1], append=y[:2]), np.diff(Y, 2, 0, Y[:1], Y[:2]))
    assert wengert.tensor([True, False, False]).diff().tolist() == [True, False]
    assert y.diff(9).shape == (3, 0)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient(edge_order):
    y = wengert.tensor(Y)
    for result, expected in zip(
        wengert.gradient(y, edge_order=edge_order), np.gradient(Y, edge_order=edge_order), strict=True
    ):
        close(result, expected)
    (along,) = wengert.gradient(y, spacing=(wengert.tensor(POINTS),), dim=1, edge_order=edge_order)
    close(along, np.gradient(Y, POINTS, axis=1, edge_order=edge_order))
    (along,) = wengert.gradient(y, spacing=0.5, dim=1, edge_order=edge_order)
    close(along, np.gradient(Y, 0.5, axis=1, edge_order=edge_order))


@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("f", [None, [1, 2, 1, 3, 1]])
@pytest.mark.parametrize("a", [None, [0.5, 1.0, 2.0, 0.1, 0.3]])
def test_cov(correction, f, a):
    weights = {"fweights": f, "aweights": a}
    given = {key: None if value is None else wengert.tensor(np.array(value)) for key, value in weights.items()}
    close(wengert.tensor(Y).cov(correction=correction, **given), np.cov(Y, ddof=correction, **weights))


def test_corrcoef():
    close(wengert.tensor(Y).corrcoef(), np.corrcoef(Y))
    assert gradcheck(wengert.corrcoef, [wengert.tensor(Y, requires_grad=True)])


def test_renorm_shrinks_what_is_too_long():
    x = wengert.tensor([[3.0, 4.0], [0.3, 0.4]])
    np.testing.assert_allclose(x.renorm(2, 0, 1.0).numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-5)
    x.renorm_(2, 0, 1.0)
    np.testing.assert_allclose(x.norm(dim=1).numpy(), [1, 0.5], rtol=1e-5)


def test_numbers_taken_apart_and_put_together():
    x = wengert.tensor([0.75, -6.0, 0.0])
    mantissa, exponent = x.frexp()
    assert mantissa.tolist() == [0.75, -0.75, 0.0] and exponent.tolist() == [0, 3, 0]
    assert wengert.ldexp(mantissa, exponent).tolist() == x.tolist()
    assert wengert.polar(wengert.tensor([2.0]), wengert.tensor([0.0])).tolist() == [2 + 0j]
    assert wengert.complex(wengert.tensor([1.0, 2.0]), wengert.tensor(3.0)).tolist() == [1 + 3j, 2 + 3j]
    with pytest.raises(RuntimeError, match="Float but got scalar type Double"):
        wengert.polar(x, x.double())
    leaf = wengert.tensor([1.5, 3.0], dtype=wengert.float64, requires_grad=True)
    assert gradcheck(lambda x: wengert.frexp(x)[0], [leaf])


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("q", [0.0, 0.3, 1.0, [0.1, 0.9]])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_quantile(method, q, dim):
    given = q if isinstance(q, float) else wengert.tensor(q, dtype=wengert.float64)
    close(wengert.tensor(Y).quantile(given, dim, interpolation=method), np.quantile(Y, q, dim, method=method))
    holes = Y.copy()
    holes[0, 1] = np.nan
    close(
        wengert.tensor(holes).nanquantile(given, dim, interpolation=method),
        np.nanquantile(holes, q, dim, method=method),
    )
    close(wengert.tensor(holes).quantile(given, dim, interpolation=method), np.quantile(holes, q, dim, method=method))
    assert wengert.tensor(Y).quantile(given, dim, keepdim=True).shape == np.quantile(Y, q, dim, keepdims=True).shape


def test_the_derivative_of_quantiles():
    y = wengert.tensor(Y, requires_grad=True)
    q = wengert.tensor([0.2, 0.7], dtype=wengert.float64, requires_grad=True)
    assert gradcheck(lambda y, q: y.quantile(q, 1), [y, q])


@pytest.mark.parametrize("q", [-0.1, 1.1])
def test_quantiles_lie_between_0_and_1(q):
    with pytest.raises(RuntimeError, match=r"range \[0, 1\]"):
        wengert.ones(3).quantile(q)


@pytest.mark.parametrize("q", [[0.3], [0.0, 0.5, 1.0], [i / 20 for i in range(21)]])
def test_quantiles_of_long_rows_are_found_without_sorting_them(q):
    x = np.random.default_rng(0).random((3, 20_000))
    x[1, 5:9] = np.nan
    plain = wengert.nanquantile(wengert.tensor(x), wengert.tensor(q, dtype=wengert.float64), 1)
    recorded = wengert.nanquantile(wengert.tensor(x, requires_grad=True), wengert.tensor(q, dtype=wengert.float64), 1)
    np.testing.assert_array_equal(plain.numpy(), recorded.detach().numpy())
    np.testing.assert_allclose(plain.numpy(), np.nanquantile(x, q, axis=1))
    assert wengert.quantile(wengert.tensor(x), 0.3, 1).isnan().tolist() == [False, True, False]
