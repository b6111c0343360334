"""Distributions by their definitions: densities integrate to 1, moments are integrals, gradients are differences."""

import math

import numpy as np
import pytest

import wengert
from wengert import distributions as D
from wengert.distributions import constraints, kl_divergence, register_kl


def double(value, **options):
    return wengert.tensor(value, dtype=wengert.float64, **options)


CONTINUOUS = {
    "Beta": (lambda: D.Beta(double(2.0), double(3.0)), 0.0, 1.0),
    "Cauchy": (lambda: D.Cauchy(double(0.3), double(0.5)), -4000.0, 4000.0),
    "Chi2": (lambda: D.Chi2(double(4.0)), 0.0, 80.0),
    "ContinuousBernoulli": (lambda: D.ContinuousBernoulli(double(0.2)), 0.0, 1.0),
    "Exponential": (lambda: D.Exponential(double(2.0)), 0.0, 20.0),
    "FisherSnedecor": (lambda: D.FisherSnedecor(double(4.0), double(12.0)), 0.0, 400.0),
    "Gamma": (lambda: D.Gamma(double(2.5), double(2.0)), 0.0, 40.0),
    "Gumbel": (lambda: D.Gumbel(double(0.3), double(0.5)), -5.0, 30.0),
    "HalfNormal": (lambda: D.HalfNormal(double(2.0)), 0.0, 30.0),
    "InverseGamma": (lambda: D.InverseGamma(double(6.0), double(2.0)), 0.0, 100.0),
    "Kumaraswamy": (lambda: D.Kumaraswamy(double(2.0), double(3.0)), 0.0, 1.0),
    "Laplace": (lambda: D.Laplace(double(0.3), double(0.5)), -20.0, 20.0),
    "LogNormal": (lambda: D.LogNormal(double(0.1), double(0.5)), 0.0, 60.0),
    "Normal": (lambda: D.Normal(double(0.3), double(2.0)), -30.0, 30.0),
    "StudentT": (lambda: D.StudentT(double(9.0), double(0.3), double(0.5)), -60.0, 60.0),
    "Uniform": (lambda: D.Uniform(double(-1.0), double(3.0)), -1.0, 3.0),
    "VonMises": (lambda: D.VonMises(double(0.3), double(2.0)), -math.pi, math.pi),
    "Weibull": (lambda: D.Weibull(double(2.0), double(1.5)), 0.0, 40.0),
}


def grid(low, high, count=400_001):
    """Midpoints, closer together about 0 where the interval is long."""
    edges = np.linspace(-1, 1, count)
    edges = np.sign(edges) * np.abs(edges) ** 3 * max(abs(low), abs(high))
    edges = np.unique(np.clip(edges, low, high))
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_integrates_to_one_and_gives_the_moments(name):
    make, low, high = CONTINUOUS[name]
    d = make()
    x, width = grid(low, high)
    log_prob = d.log_prob(double(x)).numpy()
    weight = np.exp(log_prob) * width
    assert weight.sum() == pytest.approx(1.0, abs=2e-3 if name == "Cauchy" else 1e-5)
    if name in ("Cauchy", "VonMises"):
        return
    mean = (x * weight).sum()
    assert float(d.mean) == pytest.approx(mean, abs=1e-4)
    assert float(d.variance) == pytest.approx(((x - mean) ** 2 * weight).sum(), rel=1e-3)
    try:
        entropy = float(d.entropy())
    except NotImplementedError:
        return
    assert entropy == pytest.approx(-(weight * log_prob)[weight > 0].sum(), abs=1e-4)


@pytest.mark.parametrize("name", [name for name in CONTINUOUS if name not in ("VonMises", "FisherSnedecor")])
def test_quantiles_undo_the_distribution_function(name):
    d = CONTINUOUS[name][0]()
    probability = double([0.1, 0.5, 0.8])
    try:
        value = d.icdf(probability)
    except NotImplementedError:
        return
    np.testing.assert_allclose(d.cdf(value).numpy(), probability.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: D.Bernoulli(double(0.3)), 2),
        (lambda: D.Binomial(6, double(0.3)), 7),
        (lambda: D.Categorical(logits=double([0.1, 2.0, -1.0])), 3),
        (lambda: D.OneHotCategorical(double([0.2, 0.5, 0.3])), 3),
    ],
)
def test_probabilities_of_all_values_add_up_to_one(make, count):
    d = make()
    values = d.enumerate_support()
    assert values.shape[0] == count
    probs = d.log_prob(values).exp()
    assert float(probs.sum()) == pytest.approx(1.0)
    assert float(d.entropy()) == pytest.approx(-float((probs * probs.log()).sum()))


@pytest.mark.parametrize(
    "d", [D.Poisson(double(3.0)), D.Geometric(double(0.3)), D.NegativeBinomial(3, double(0.4))], ids=lambda d: repr(d)
)
def test_counts(d):
    k = wengert.arange(200, dtype=wengert.float64)
    probs = d.log_prob(k).exp()
    assert float(probs.sum()) == pytest.approx(1.0)
    assert float((probs * k).sum()) == pytest.approx(float(d.mean))
    assert float((probs * (k - d.mean) ** 2).sum()) == pytest.approx(float(d.variance))


@pytest.mark.parametrize(
    "make",
    [
        lambda a: D.Gamma(a, double(1.5)),
        lambda a: D.Gamma(a * 30, double(1.5)),
        lambda a: D.Beta(a, double(2.0)),
        lambda a: D.Beta(double(0.7), a),
        lambda a: D.Normal(a, a * 2),
        lambda a: D.Weibull(a, a + 1),
    ],
)
def test_samples_move_along_their_quantile(make):
    """What implicit and explicit reparameterization have in common: dx/da = -(dF/da) / p(x)."""
    special = pytest.importorskip("scipy.special", reason="SciPy computes the distribution functions")
    a = double(1.3, requires_grad=True)
    wengert.manual_seed(11)
    d = make(a)
    x = d.rsample((7,))
    slopes = [float(wengert.autograd.grad(one, a, retain_graph=True)[0]) for one in x]

    def cdf(value, at):
        moved = make(double(at))
        if isinstance(moved, D.Beta):
            return special.betainc(float(moved.concentration1), float(moved.concentration0), value)
        return moved.cdf(double(value)).numpy()

    points, step = x.detach().numpy(), 1e-6
    expected = (
        -(cdf(points, 1.3 + step) - cdf(points, 1.3 - step))
        / (2 * step)
        / d.log_prob(x.detach()).exp().detach().numpy()
    )
    np.testing.assert_allclose(slopes, expected, rtol=1e-5)


def test_dirichlet_samples_keep_their_sum():
    a = double([0.5, 2.0, 7.0], requires_grad=True)
    x = D.Dirichlet(a).rsample((50,))
    np.testing.assert_allclose(x.detach().sum(-1).numpy(), 1.0)
    (slope,) = wengert.autograd.grad(x.sum(), a)
    np.testing.assert_allclose(slope.numpy(), 0.0, atol=1e-12)


def test_gamma_samples_have_no_second_derivative():
    a = double([2.0], requires_grad=True)
    (slope,) = wengert.autograd.grad(D.Gamma(a, 1.0).rsample().square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="derivative for '_standard_gamma_grad' is not implemented"):
        slope.sum().backward()


def test_wishart_samples_are_positive_definite_with_a_gradient():
    factor = double([[1.0, 0.0], [0.4, 0.8]], requires_grad=True)
    d = D.Wishart(double(5.0), scale_tril=factor)
    wengert.manual_seed(0)
    x = d.rsample((3000,))
    assert constraints.positive_definite.check(x).all()
    np.testing.assert_allclose(x.detach().mean(0).numpy(), d.mean.detach().numpy(), rtol=0.1)
    wengert.manual_seed(0)
    with wengert.no_grad():
        moved = factor.detach().clone()
        moved[1, 0] += 1e-6
        y = D.Wishart(double(5.0), scale_tril=moved).rsample((3000,))
    (slope,) = wengert.autograd.grad(x.sum(), factor)
    assert float(slope[1, 0]) == pytest.approx(float((y - x.detach()).sum()) / 1e-6, rel=1e-4)


def test_validation_names_parameter_and_constraint():
    with pytest.raises(ValueError, match=r"Expected parameter scale .* to satisfy the constraint GreaterThan"):
        D.Normal(0.0, wengert.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="to be within the support"):
        D.Bernoulli(0.5).log_prob(wengert.tensor(2.0))
    assert math.isnan(float(D.Normal(0.0, -1.0, validate_args=False).scale.log()))


def test_validation_can_be_switched_off_for_all():
    try:
        D.Distribution.set_default_validate_args(False)
        D.Normal(0.0, -1.0)
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="scale"):
        D.Normal(0.0, -1.0)


def test_expanded_parameters_share_memory():
    d = D.Normal(wengert.zeros(3), wengert.ones(3)).expand((2, 3))
    assert d.batch_shape == (2, 3) and d.loc.stride() == (0, 1)


def test_subclass_with_its_own_constructor_must_define_expand():
    class Standard(D.Normal):
        def __init__(self):
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match=r"must also define a custom \.expand"):
        Standard().expand((2,))


def test_a_distribution_of_ones_own():
    class Point(D.Distribution):
        arg_constraints = {"at": constraints.real}
        support = constraints.real

        def __init__(self, at):
            self.at = at
            super().__init__(at.shape)

        def rsample(self, sample_shape=()):
            return self.at.expand(self._extended_shape(sample_shape))

    assert Point(wengert.ones(2)).sample((3,)).shape == (3, 2)
    with pytest.raises(NotImplementedError):
        Point(wengert.ones(2)).expand((2, 2))

    @register_kl(Point, Point)
    def _(p, q):
        return (p.at != q.at) * math.inf

    with pytest.raises(NotImplementedError, match="No KL"):
        kl_divergence(Point(wengert.ones(2)), D.Normal(0.0, 1.0))


def test_divergence_is_the_mean_of_the_log_ratio():
    p, q = D.Gamma(double(2.5), double(2.0)), D.Normal(double(0.4), double(1.5))
    x, width = grid(1e-12, 40.0)
    log_p, log_q = p.log_prob(double(x)).numpy(), q.log_prob(double(x)).numpy()
    assert float(kl_divergence(p, q)) == pytest.approx((np.exp(log_p) * (log_p - log_q) * width).sum(), rel=1e-5)


def test_transformed_density_integrates_to_one():
    d = D.TransformedDistribution(D.Normal(double(0.0), double(1.0)), [D.TanhTransform(), D.AffineTransform(1.0, 2.0)])
    x, width = np.linspace(-0.99999, 2.99999, 200_001), 4 / 200_000
    d._validate_args = False
    assert float((d.log_prob(double(x)).exp() * width).sum()) == pytest.approx(1.0, abs=1e-4)


def test_cached_transform_returns_the_very_value_it_came_from():
    transform = D.TanhTransform(cache_size=1)
    x = wengert.tensor([20.0])  # tanh rounds to 1, and atanh(1) is infinite
    assert transform.inv(transform(x)) is x


def test_registry_maps_any_numbers_to_the_constraint():
    x = wengert.linspace(-2, 2, 6, dtype=wengert.float64)
    for constraint in (
        constraints.positive,
        constraints.interval(2.0, 5.0),
        constraints.simplex,
        constraints.corr_cholesky,
    ):
        for registry in (D.biject_to, D.transform_to):
            assert constraint.check(registry(constraint)(x)).all()
    with pytest.raises(NotImplementedError, match="Cannot transform _Boolean constraints"):
        D.biject_to(constraints.boolean)
