"""`torch.distributions` against PyTorch: samples for a seed, densities, moments, gradients, all divergences."""

import math
import warnings

import numpy as np
import pytest
import torch

import wengert


def params(module, *values):
    """Leaves of float64."""
    return [module.tensor(value, dtype=module.float64, requires_grad=True) for value in values]


FACTOR = [[1.0, 0.0, 0.0], [0.3, 0.8, 0.0], [-0.2, 0.5, 1.2]]
COVARIANCE = (np.array(FACTOR) @ np.array(FACTOR).T).tolist()
ROW = [0.2, 0.5, 0.3]
ROWS = [ROW, [0.7, 0.1, 0.2]]
LOGITS = [[0.1, -0.5, 2.0], [0.3, 0.3, -1.0]]

# A name, the class, its parameters (float64 leaves), its keywords' names or None for positions, further arguments
CASES = {
    "Bernoulli-probs": ("Bernoulli", {"probs": ROW}),
    "Bernoulli-logits": ("Bernoulli", {"logits": LOGITS}),
    "Beta": ("Beta", {"concentration1": [0.7, 2.0, 9.0], "concentration0": [[1.5], [0.4]]}),
    "Binomial": ("Binomial", {"probs": ROW}, {"total_count": 5}),
    "Binomial-logits": ("Binomial", {"logits": LOGITS}, {"total_count": 40}),
    "Categorical-probs": ("Categorical", {"probs": ROWS}),
    "Categorical-logits": ("Categorical", {"logits": LOGITS}),
    "Cauchy": ("Cauchy", {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}),
    "Chi2": ("Chi2", {"df": [0.8, 3.0, 20.0]}),
    "ContinuousBernoulli": ("ContinuousBernoulli", {"probs": [0.2, 0.4999, 0.9]}),
    "ContinuousBernoulli-logits": ("ContinuousBernoulli", {"logits": LOGITS}),
    "Dirichlet": ("Dirichlet", {"concentration": [[0.4, 1.5, 3.0], [5.0, 2.0, 20.0]]}),
    "Exponential": ("Exponential", {"rate": [0.5, 2.0]}),
    "FisherSnedecor": ("FisherSnedecor", {"df1": [3.0, 9.0], "df2": [5.0, 1.5]}),
    "Gamma": ("Gamma", {"concentration": [0.3, 2.0, 15.0], "rate": [[0.5], [2.0]]}),
    "GeneralizedPareto": ("GeneralizedPareto", {"loc": [0.1, 1.0], "scale": [0.5, 2.0], "concentration": [0.3, -0.2]}),
    "Geometric": ("Geometric", {"probs": ROW}),
    "Geometric-logits": ("Geometric", {"logits": LOGITS}),
    "Gumbel": ("Gumbel", {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}),
    "HalfCauchy": ("HalfCauchy", {"scale": [0.5, 2.0]}),
    "HalfNormal": ("HalfNormal", {"scale": [0.5, 2.0]}),
    "InverseGamma": ("InverseGamma", {"concentration": [0.7, 2.5, 15.0], "rate": [0.5, 2.0, 1.0]}),
    "Kumaraswamy": ("Kumaraswamy", {"concentration1": [0.7, 2.0], "concentration0": [1.5, 3.0]}),
    "LKJCholesky": ("LKJCholesky", {"concentration": [0.7, 2.0]}, {"dim": 3}),
    "Laplace": ("Laplace", {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}),
    "LogNormal": ("LogNormal", {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}),
    "LogisticNormal": ("LogisticNormal", {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}),
    "LogitRelaxedBernoulli": ("relaxed_bernoulli.LogitRelaxedBernoulli", {"temperature": 0.7, "probs": ROW}),
    "LowRankMultivariateNormal": (
        "LowRankMultivariateNormal",
        {"loc": [[0.1, 0.2, 0.3], [1.0, 0.0, 2.0]], "cov_factor": [[0.5], [1.0], [-0.4]], "cov_diag": [0.4, 0.8, 1.5]},
    ),
    "Multinomial": ("Multinomial", {"probs": ROWS}, {"total_count": 7}),
    "Multinomial-logits": ("Multinomial", {"logits": LOGITS}, {"total_count": 3}),
    "MultivariateNormal-tril": (
        "MultivariateNormal", {"loc": [[0.1, 0.2, 0.3], [1.0, 0.0, 2.0]], "scale_tril": FACTOR},
    ),
    "MultivariateNormal-batch": (
        "MultivariateNormal", {"loc": [0.1, 0.2, 0.3], "covariance_matrix": [COVARIANCE, np.eye(3).tolist()]},
    ),
    "MultivariateNormal-precision": ("MultivariateNormal", {"loc": [0.1, 0.2, 0.3], "precision_matrix": COVARIANCE}),
    "NegativeBinomial": ("NegativeBinomial", {"probs": ROW}, {"total_count": 4}),
    "NegativeBinomial-logits": ("NegativeBinomial", {"logits": LOGITS}, {"total_count": 2.5}),
    "Normal": ("Normal", {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}),
    "OneHotCategorical": ("OneHotCategorical", {"probs": ROWS}),
    "OneHotCategoricalStraightThrough": ("OneHotCategoricalStraightThrough", {"logits": LOGITS}),
    "Pareto": ("Pareto", {"scale": [0.5, 2.0], "alpha": [1.5, 3.0]}),
    "Poisson": ("Poisson", {"rate": [0.5, 3.0, 30.0]}),
    "RelaxedBernoulli": ("RelaxedBernoulli", {"temperature": 0.7, "logits": LOGITS}),
    "RelaxedOneHotCategorical": ("RelaxedOneHotCategorical", {"temperature": 0.7, "logits": LOGITS}),
    "StudentT": ("StudentT", {"df": [0.8, 1.5, 7.0], "loc": [0.1, 0.2, 0.3], "scale": [1.0, 2.0, 0.5]}),
    "Uniform": ("Uniform", {"low": [0.1, -1.0], "high": [0.9, 3.0]}),
    "VonMises": ("VonMises", {"loc": [0.3, -2.0, 0.0], "concentration": [0.5, 6.0, 1e-6]}),
    "Weibull": ("Weibull", {"scale": [0.5, 2.0], "concentration": [1.5, 3.0]}),
    "Wishart": ("Wishart", {"df": [4.0, 6.5], "covariance_matrix": COVARIANCE}),
}  # fmt: skip


def build(module, name):
    cls, leaves, *others = CASES[name]
    found = module.distributions
    for part in cls.split("."):
        found = getattr(found, part)
    # PyTorch 2.13's GeneralizedPareto compares its concentration with a float32 zero, and takes nothing else
    dtype = module.float32 if name == "GeneralizedPareto" else module.float64
    tensors = {key: module.tensor(value, dtype=dtype, requires_grad=True) for key, value in leaves.items()}
    return found(**tensors, **(others[0] if others else {})), list(tensors.values())


def both(name):
    return build(torch, name), build(wengert, name)


def same(theirs, ours, rtol=1e-9, atol=1e-10):
    assert str(theirs.dtype).split(".")[1] == str(ours.dtype).split(".")[1]
    assert tuple(theirs.shape) == tuple(ours.shape)
    if theirs.dtype == torch.float32:
        rtol, atol = max(rtol, 2e-5), max(atol, 1e-6)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def same_gradients(theirs, their_leaves, ours, our_leaves, rtol=1e-7, atol=1e-9):
    assert theirs.requires_grad == ours.requires_grad
    if not theirs.requires_grad:
        return
    expected = torch.autograd.grad(theirs.sum(), their_leaves, allow_unused=True, retain_graph=True)
    got = wengert.autograd.grad(ours.sum(), our_leaves, allow_unused=True, retain_graph=True)
    for e, g in zip(expected, got, strict=True):
        assert (e is None) == (g is None)
        if e is not None:
            same(e, g, rtol, atol)


@pytest.fixture(autouse=True)
def validation():
    """PyTorch's compiler turns the validation of arguments off when something imports it."""
    for module in (torch, wengert):
        module.distributions.Distribution.set_default_validate_args(True)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def attempt(function):
    try:
        return function()
    except Exception as error:  # whatever PyTorch raises is what is expected
        return type(error)


@pytest.mark.parametrize("name", CASES)
def test_samples_and_densities(name):
    (p, p_leaves), (q, q_leaves) = both(name)
    assert tuple(p.batch_shape) == tuple(q.batch_shape) and tuple(p.event_shape) == tuple(q.event_shape)
    assert (p.has_rsample, p.has_enumerate_support) == (q.has_rsample, q.has_enumerate_support)
    assert repr(p) == repr(q)
    for shape in ((), (2, 5)):
        torch.manual_seed(3)
        wengert.manual_seed(3)
        x, y = p.sample(shape), q.sample(shape)
        same(x, y)
        assert not y.requires_grad
        value = wengert.tensor(x.numpy())
        theirs, ours = attempt(lambda: p.log_prob(x)), attempt(lambda: q.log_prob(value))  # noqa: B023
        if isinstance(theirs, type):
            assert theirs is ours
            continue
        same(theirs, ours)
        same_gradients(theirs, p_leaves, ours, q_leaves)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_samples(name):
    (p, p_leaves), (q, q_leaves) = both(name)
    torch.manual_seed(5)
    wengert.manual_seed(5)
    x, y = attempt(lambda: p.rsample((4,))), attempt(lambda: q.rsample((4,)))
    if isinstance(x, type):
        assert x is y
        return
    same(x, y)
    if name == "Wishart":  # PyTorch 2.13 writes over an index that its own backward pass needs
        return
    # PyTorch approximates the implicit gradients of gamma and Dirichlet variates to about four digits
    implicit = any(part in name for part in ("Gamma", "Beta", "Dirichlet", "Chi2", "StudentT", "Fisher"))
    weights = np.linspace(0.5, 2.0, x.numel()).reshape(x.shape)
    same_gradients(
        x * torch.tensor(weights), p_leaves, y * wengert.tensor(weights), q_leaves, *((2e-3, 1e-5) if implicit else ())
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "what",
    [
        "mean",
        "variance",
        "stddev",
        "mode",
        "entropy",
        "perplexity",
        "covariance_matrix",
        "precision_matrix",
        "scale_tril",
    ],
)
def test_moments(name, what):
    (p, p_leaves), (q, q_leaves) = both(name)

    def value(d):
        found = getattr(d, what)
        return found() if callable(found) else found

    theirs, ours = attempt(lambda: value(p)), attempt(lambda: value(q))
    if isinstance(theirs, type):
        assert theirs is ours
        return
    same(theirs, ours)
    finite = bool(torch.isfinite(theirs).all())
    if finite:
        same_gradients(theirs, p_leaves, ours, q_leaves)


@pytest.mark.parametrize("name", CASES)
def test_distribution_functions(name):
    (p, p_leaves), (q, q_leaves) = both(name)
    levels = np.linspace(0.05, 0.95, 4).reshape((4,) + (1,) * len(p.batch_shape))
    torch.manual_seed(1)
    points = p.sample((3,)).detach().numpy()
    levels = levels.astype(points.dtype) if points.dtype.kind == "f" else levels
    for method, x in (("icdf", levels), ("cdf", points)):
        theirs = attempt(lambda: getattr(p, method)(torch.tensor(x)))  # noqa: B023
        ours = attempt(lambda: getattr(q, method)(wengert.tensor(x)))  # noqa: B023
        if isinstance(theirs, type):
            assert theirs is ours
            continue
        same(theirs, ours, 1e-8)
        if name not in ("Gamma", "Chi2", "InverseGamma"):  # neither library differentiates igamma by its shape
            same_gradients(theirs, p_leaves, ours, q_leaves)


@pytest.mark.parametrize("name", CASES)
def test_expansion_and_enumeration(name):
    (p, _), (q, _) = both(name)
    shape = (2, *p.batch_shape)
    p2, q2 = p.expand(shape), q.expand(shape)
    assert tuple(q2.batch_shape) == shape and tuple(p2.event_shape) == tuple(q2.event_shape)
    torch.manual_seed(1)
    wengert.manual_seed(1)
    x, y = p2.sample((3,)), q2.sample((3,))
    same(x, y)
    theirs, ours = attempt(lambda: p2.log_prob(x)), attempt(lambda: q2.log_prob(wengert.tensor(x.numpy())))
    assert theirs is ours if isinstance(theirs, type) else same(theirs, ours) is None
    for expand in (True, False):
        theirs = attempt(lambda: p.enumerate_support(expand))  # noqa: B023
        ours = attempt(lambda: q.enumerate_support(expand))  # noqa: B023
        assert theirs is ours if isinstance(theirs, type) else same(theirs, ours) is None


SIMPLE = [name for name in CASES if "Multi" not in name and "Wishart" not in name and "LKJ" not in name]


def test_divergences_of_all_pairs():
    # parameters of one shape for all
    one = {
        "Bernoulli": {"probs": [0.3, 0.6]}, "Beta": {"concentration1": [0.7, 2.0], "concentration0": [1.5, 3.0]},
        "Binomial": {"total_count": [4.0, 4.0], "probs": [0.3, 0.6]}, "Categorical": {"probs": ROWS},
        "Cauchy": {"loc": [0.3, 0.1], "scale": [0.5, 2.0]}, "ContinuousBernoulli": {"probs": [0.2, 0.7]},
        "Dirichlet": {"concentration": [[0.4, 1.5, 3.0], [5.0, 2.0, 20.0]]}, "Exponential": {"rate": [0.5, 2.0]},
        "Gamma": {"concentration": [0.5, 2.0], "rate": [0.6, 2.0]}, "Geometric": {"probs": [0.3, 0.6]},
        "Gumbel": {"loc": [0.3, -0.2], "scale": [1.5, 2.0]}, "HalfNormal": {"scale": [0.5, 2.0]},
        "Laplace": {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}, "LogNormal": {"loc": [0.3, -2.0], "scale": [0.5, 2.0]},
        "MultivariateNormal": {"loc": [[0.1, 0.2, 0.3], [1.0, 0.0, 2.0]], "scale_tril": FACTOR},
        "LowRankMultivariateNormal": {
            "loc": [[0.1, 0.2, 0.3], [1.0, 0.0, 2.0]], "cov_factor": [[0.5], [1.0], [-0.4]],
            "cov_diag": [0.4, 0.8, 1.5],
        },
        "Normal": {"loc": [0.3, -2.0], "scale": [0.5, 2.0]}, "OneHotCategorical": {"logits": LOGITS},
        "Pareto": {"scale": [0.5, 0.2], "alpha": [1.5, 3.0]}, "Poisson": {"rate": [0.5, 3.0]},
        "Uniform": {"low": [0.55, 0.25], "high": [0.9, 0.8]}, "Wishart": {"df": [4.0, 6.5], "scale_tril": FACTOR},
        "StudentT": {"df": [3.0, 4.0]}, "Weibull": {"scale": [0.5, 2.0], "concentration": [1.5, 3.0]},
    }  # fmt: skip
    made = {}
    for module in (torch, wengert):
        for name, values in one.items():
            for factor in (1.0, 0.9):
                leaves = {
                    k: module.tensor(
                        np.array(v) * (factor if k not in ("probs", "total_count", "high", "df") else 1.0),
                        requires_grad=True,
                    )
                    for k, v in values.items()
                }
                d = getattr(module.distributions, name)(**leaves)
                made[module, name, factor] = d, list(leaves.values())
    implemented = 0
    for a in one:
        for b in one:
            (p, pl), (q, ql) = made[torch, a, 1.0], made[torch, b, 0.9]
            (p2, pl2), (q2, ql2) = made[wengert, a, 1.0], made[wengert, b, 0.9]
            theirs = attempt(lambda: torch.distributions.kl_divergence(p, q))  # noqa: B023
            ours = attempt(lambda: wengert.distributions.kl_divergence(p2, q2))  # noqa: B023
            try:
                if isinstance(theirs, type):
                    assert theirs is ours
                    continue
                implemented += 1
                same(theirs, ours)
                if torch.isfinite(theirs).all():
                    same_gradients(theirs, pl + ql, ours, pl2 + ql2)
            except AssertionError as error:
                raise AssertionError(f"{a} || {b}: {error}") from error
    assert implemented > 70


TRANSFORMS = {
    "AbsTransform": ((), [-0.5, 2.0]),
    "AffineTransform": ((1.5, -2.0), [-0.5, 2.0]),
    "CorrCholeskyTransform": ((), [[0.3, -0.5, 1.0], [0.1, 0.0, -2.0]]),
    "ExpTransform": ((), [-0.5, 2.0]),
    "LowerCholeskyTransform": ((), COVARIANCE),
    "PositiveDefiniteTransform": ((), COVARIANCE),
    "PowerTransform": ((2.5,), [0.5, 2.0]),
    "ReshapeTransform": (((2, 2), (4,)), [[[0.1, 0.2], [0.3, 0.4]]]),
    "SigmoidTransform": ((), [-0.5, 2.0]),
    "SoftmaxTransform": ((), LOGITS),
    "SoftplusTransform": ((), [-0.5, 2.0]),
    "StickBreakingTransform": ((), LOGITS),
    "TanhTransform": ((), [-0.5, 2.0]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    arguments, value = TRANSFORMS[name]
    results = []
    for module in (torch, wengert):
        (x,) = params(module, value)
        transform = getattr(module.distributions, name)(*arguments)
        y = transform(x)
        log_det = attempt(lambda: transform.log_abs_det_jacobian(x, y))  # noqa: B023
        back = transform.inv(y)
        assert transform.inv.inv is transform
        facts = (
            transform.bijective, transform.domain.event_dim, transform.codomain.event_dim, repr(transform),
            repr(transform.inv), tuple(transform.forward_shape(x.shape)), tuple(transform.inverse_shape(y.shape)),
            transform == getattr(module.distributions, name)(*arguments), repr(transform.codomain),
        )  # fmt: skip
        results.append((x, y, log_det, back, facts))
    (x, y, log_det, back, facts), (x2, y2, log_det2, back2, facts2) = results
    assert facts == facts2
    same(y, y2)
    same(back, back2)
    same_gradients(y * y, [x], y2 * y2, [x2])
    if isinstance(log_det, type):
        assert log_det is log_det2
    else:
        same(log_det, log_det2)
        same_gradients(log_det, [x], log_det2, [x2])


def constraint_list(module):
    c = module.distributions.constraints
    return [
        c.real, c.positive, c.nonnegative, c.greater_than(2.0), c.greater_than_eq(-1.0), c.less_than(3.0),
        c.interval(-1.0, 4.0),
        c.half_open_interval(0.0, 2.0), c.unit_interval, c.simplex, c.lower_cholesky, c.positive_definite,
        c.corr_cholesky,
        c.real_vector, c.independent(c.positive, 1), c.boolean, c.positive_integer, c.nonnegative_integer,
        c.integer_interval(0, 3), c.one_hot, c.multinomial(3), c.lower_triangular, c.square, c.symmetric,
        c.positive_semidefinite, c.stack([c.positive, c.real, c.real], 0), c.cat([c.positive, c.real], 0, [1, 2]),
    ]  # fmt: skip


@pytest.mark.parametrize("index", range(len(constraint_list(torch))))
def test_constraints(index):
    values = [np.array(v) for v in (ROW, [0.0, 1.0, 0.0], [1.0, 2.0, -1.0], FACTOR, COVARIANCE, np.eye(3), -np.eye(3))]
    theirs, ours = constraint_list(torch)[index], constraint_list(wengert)[index]
    assert (theirs.is_discrete, theirs.event_dim) == (ours.is_discrete, ours.event_dim)
    if not hasattr(theirs, "cseq"):
        assert repr(theirs) == repr(ours)
    for value in values:
        a = attempt(lambda: theirs.check(torch.tensor(value)))  # noqa: B023
        b = attempt(lambda: ours.check(wengert.tensor(value)))  # noqa: B023
        assert isinstance(a, type) == isinstance(b, type)
        if not isinstance(a, type):
            same(a, b)
    for registry in ("biject_to", "transform_to"):
        a = attempt(lambda: getattr(torch.distributions, registry)(theirs))  # noqa: B023
        b = attempt(lambda: getattr(wengert.distributions, registry)(ours))  # noqa: B023
        if isinstance(a, type):
            assert a is b
            continue
        assert repr(a) == repr(b) or hasattr(theirs, "cseq")
        x = np.linspace(-1.0, 1.0, 9).reshape(3, 3)
        same(a(torch.tensor(x)), b(wengert.tensor(x)))


def test_compounds():
    for build_one in (
        lambda m: m.distributions.Independent(m.distributions.Normal(*params(m, [[0.1, 0.2]], [[1.0, 2.0]])), 1),
        lambda m: m.distributions.MixtureSameFamily(
            m.distributions.Categorical(params(m, ROW)[0]),
            m.distributions.Normal(*params(m, [0.0, 1.0, 2.0], [1.0, 2.0, 3.0])),
        ),
        lambda m: m.distributions.MixtureSameFamily(
            m.distributions.Categorical(params(m, ROW)[0]),
            m.distributions.Independent(m.distributions.Normal(*params(m, [[0.0, 1.0]] * 3, [[1.0, 2.0]] * 3)), 1),
        ),
        lambda m: m.distributions.TransformedDistribution(
            m.distributions.Normal(*params(m, [0.1, 0.2], [1.0, 0.5])),
            [m.distributions.AffineTransform(0.5, 2.0), m.distributions.TanhTransform(cache_size=1)],
        ),
    ):
        p, q = build_one(torch), build_one(wengert)
        torch.manual_seed(2)
        wengert.manual_seed(2)
        x, y = p.sample((4,)), q.sample((4,))
        same(x, y)
        same(p.log_prob(x), q.log_prob(y), 1e-7)
        for what in ("mean", "variance"):
            a, b = attempt(lambda: getattr(p, what)), attempt(lambda: getattr(q, what))  # noqa: B023
            assert a is b if isinstance(a, type) else same(a, b) is None
        a, b = attempt(lambda: p.cdf(x)), attempt(lambda: q.cdf(y))  # noqa: B023
        assert a is b if isinstance(a, type) else same(a, b, 1e-7) is None
        assert repr(p) == repr(q)


BAD = [
    lambda m: m.distributions.Normal(0.0, -1.0),
    lambda m: m.distributions.Normal(m.tensor([0.0, math.nan]), 1.0),
    lambda m: m.distributions.Bernoulli(),
    lambda m: m.distributions.Bernoulli(1.5),
    lambda m: m.distributions.Categorical(m.tensor(0.5)),
    lambda m: m.distributions.Categorical(logits=m.tensor([math.nan, 0.0])),
    lambda m: m.distributions.Normal(0.0, 1.0).log_prob(3),
    lambda m: m.distributions.Normal(m.zeros(3), 1.0).log_prob(m.zeros(2)),
    lambda m: m.distributions.Exponential(1.0).log_prob(m.tensor(-1.0)),
    lambda m: m.distributions.Normal("a", 1.0),
    lambda m: m.distributions.Gamma(0.0, 1.0),
    lambda m: m.distributions.Multinomial(m.tensor([1, 2]), m.tensor(ROW)),
    lambda m: m.distributions.MultivariateNormal(m.zeros(2)),
    lambda m: m.distributions.Independent(m.distributions.Normal(0.0, 1.0), 1),
    lambda m: m.distributions.kl_divergence(m.distributions.Normal(0.0, 1.0), m.distributions.Bernoulli(0.5)),
    lambda m: m.distributions.Poisson(1.0).rsample(),
    lambda m: m.distributions.TransformedDistribution(m.distributions.Normal(0.0, 1.0), 3),
    lambda m: m.distributions.Dirichlet(m.tensor(1.0)),
]


@pytest.mark.parametrize("index", range(len(BAD)))
def test_errors(index):
    caught = []
    for module in (torch, wengert):
        with pytest.raises(Exception) as info:
            BAD[index](module)
        caught.append((info.type, " ".join(str(info.value).split())))
    assert caught[0] == caught[1]
