"""Kullback-Leibler divergences, by pairs of classes.

`register_kl` enters a formula for a pair; `kl_divergence` takes the one for the nearest classes.  Pairs whose first
support reaches outside of the second are infinite; they stand in one table.
"""

import math
import warnings

import wengert
from wengert.distributions.bernoulli import Bernoulli
from wengert.distributions.beta import Beta
from wengert.distributions.binomial import Binomial
from wengert.distributions.categorical import Categorical
from wengert.distributions.cauchy import Cauchy
from wengert.distributions.continuous_bernoulli import ContinuousBernoulli
from wengert.distributions.dirichlet import Dirichlet
from wengert.distributions.exp_family import ExponentialFamily
from wengert.distributions.exponential import Exponential
from wengert.distributions.gamma import Gamma
from wengert.distributions.geometric import Geometric
from wengert.distributions.gumbel import Gumbel
from wengert.distributions.half_normal import HalfNormal
from wengert.distributions.independent import Independent
from wengert.distributions.laplace import Laplace
from wengert.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from wengert.distributions.multivariate_normal import MultivariateNormal, log_diagonal, mahalanobis
from wengert.distributions.normal import Normal
from wengert.distributions.one_hot_categorical import OneHotCategorical
from wengert.distributions.pareto import Pareto
from wengert.distributions.poisson import Poisson
from wengert.distributions.transformed_distribution import TransformedDistribution
from wengert.distributions.uniform import Uniform
from wengert.distributions.utils import _sum_rightmost, euler_constant
from wengert.nn.functional import softplus

__all__ = ["kl_divergence", "register_kl"]

_REGISTRY = _KL_REGISTRY = {}
_FOUND = {}  # what the search found, by the classes that were asked for


def register_kl(type_p, type_q):
    """Decorator that enters ``formula(p, q)`` for two classes, subclasses of `Distribution` as a rule; raises TypeError
    for what is no class.

    The pair nearest by inheritance is used; where the two orders of comparison disagree, a RuntimeWarning says so.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def enter(formula):
        _REGISTRY[type_p, type_q] = formula
        _FOUND.clear()
        return formula

    return enter


def _search(type_p, type_q):
    order_p, order_q = type_p.__mro__, type_q.__mro__
    ranks = {
        (p, q): (order_p.index(p), order_q.index(q)) for p, q in _REGISTRY if p in order_p and q in order_q
    }  # fmt: skip
    if not ranks:
        return None
    left = min(ranks, key=lambda pair: ranks[pair])
    right = min(ranks, key=lambda pair: ranks[pair][::-1])
    if _REGISTRY[left] is not _REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _REGISTRY[left]


def kl_divergence(p, q):
    """The divergence of `q` from `p`, the mean under `p` of log p - log q, of the batch's shape.

    Raises NotImplementedError for pairs without formula.
    """
    pair = type(p), type(q)
    if pair not in _FOUND:
        _FOUND[pair] = _search(*pair)
    formula = _FOUND[pair]
    if formula is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
        )
    return formula(p, q)


# --- infinite divergences ---------------------------------------------------------------------------------------------

_REACHING_OUTSIDE = (
    (Beta, "concentration1", (Pareto,)),
    (ContinuousBernoulli, "probs", (Pareto,)),
    (Exponential, "rate", (Beta, ContinuousBernoulli, Pareto, Uniform)),
    (Gamma, "concentration", (Beta, ContinuousBernoulli, Pareto, Uniform)),
    (Gumbel, "loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    (Laplace, "loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    (Normal, "loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    (Pareto, "scale", (Beta, ContinuousBernoulli, Uniform)),
    (Poisson, "rate", (Bernoulli, Binomial)),
)


def _infinite(parameter):
    return lambda p, q: wengert.full_like(getattr(p, parameter), math.inf)


for _p, _parameter, _others in _REACHING_OUTSIDE:
    for _q in _others:
        register_kl(_p, _q)(_infinite(_parameter))

# --- two of a kind ----------------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _(p, q):
    heads = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    tails = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    heads = heads.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0.0)
    return heads + tails.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0.0)


@register_kl(Beta, Beta)
def _(p, q):
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    log_betas = c.lgamma() + d.lgamma() + (a + b).lgamma() - (a.lgamma() + b.lgamma() + (c + d).lgamma())
    return log_betas + (a - c) * a.digamma() + (b - d) * b.digamma() + (c + d - a - b) * (a + b).digamma()


@register_kl(Binomial, Binomial)
def _(p, q):
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )  # fmt: skip
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return (p.total_count * each).masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(Categorical, Categorical)
def _(p, q):
    terms = p.probs * (p.logits - q.logits)
    return terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0.0).sum(-1)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _(p, q):
    of_p = p._cont_bern_log_norm() + (-p.probs).log1p()
    return p.mean * (p.logits - q.logits) + of_p - q._cont_bern_log_norm() - (-q.probs).log1p()


@register_kl(Dirichlet, Dirichlet)
def _(p, q):
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    log_betas = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return log_betas + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Exponential, Exponential)
def _(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _(p, q):
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            "divergences"
        )
    thetas, normalizer, slopes = p._slopes()
    others = q._natural_params
    result = q._log_normalizer(*others) - normalizer
    for theta, other, slope in zip(thetas, others, slopes, strict=True):
        result = result - _sum_rightmost((other - theta) * slope, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _(p, q):
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma() + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def _(p, q):
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return -ratio.log() + shift + ratio * euler_constant + ((1 + ratio).lgamma() - shift).exp() - (1 + euler_constant)


@register_kl(Geometric, Geometric)
def _(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(HalfNormal, HalfNormal)
def _(p, q):
    return _normal_normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _(p, q):
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Normal, Normal)
def _normal_normal(p, q):
    variance_ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (variance_ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - variance_ratio.log())


@register_kl(OneHotCategorical, OneHotCategorical)
def _(p, q):
    return kl_divergence(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _(p, q):
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return result.masked_fill(p.scale < q.scale, math.inf)


@register_kl(Poisson, Poisson)
def _(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _(p, q):
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return result.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(Independent, Independent)
def _(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Cauchy, Cauchy)
def _(p, q):
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


# --- multivariate normals ---------------------------------------------------------------------------------------------


def _log_det(d):
    """The logarithm of the covariance's determinant."""
    if isinstance(d, LowRankMultivariateNormal):
        return d._log_det()
    return 2 * log_diagonal(d._unbroadcasted_scale_tril)


def _distance(d, x):
    if isinstance(d, LowRankMultivariateNormal):
        return d._distance(x)
    return mahalanobis(d._unbroadcasted_scale_tril, x)


def _roots(d):
    """Matrices whose squares A A^T add up to the covariance."""
    if isinstance(d, LowRankMultivariateNormal):
        return d._unbroadcasted_cov_factor, d._unbroadcasted_cov_diag.sqrt().diag_embed()
    return (d._unbroadcasted_scale_tril,)


def _square(matrix):
    return matrix.pow(2).sum((-2, -1))


def _trace(q, root):
    """trace(covariance of q ^-1 root root^T)."""
    if not isinstance(q, LowRankMultivariateNormal):
        factor = q._unbroadcasted_scale_tril
        batch = wengert.broadcast_shapes(factor.shape[:-2], root.shape[:-2])
        factor, root = factor.expand((*batch, -1, -1)), root.expand((*batch, -1, -1))
        return _square(wengert.linalg.solve_triangular(factor, root, upper=False))
    a = wengert.linalg.solve_triangular(q._capacitance_tril, q._weighted(), upper=False)
    return _square(root * q._unbroadcasted_cov_diag.rsqrt().unsqueeze(-1)) - _square(a @ root)


def _multivariate(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two (Low Rank) Multivariate Normals with different event shapes cannot be computed"
        )
    traces = sum(_trace(q, root) for root in _roots(p))
    return 0.5 * (_log_det(q) - _log_det(p) + traces + _distance(q, q.loc - p.loc) - p.event_shape[0])


for _p in (MultivariateNormal, LowRankMultivariateNormal):
    for _q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_p, _q)(_multivariate)

# --- two kinds --------------------------------------------------------------------------------------------------------
# Where only moments of p meet log q, the divergence is -entropy(p) - mean of log q under p.


@register_kl(Bernoulli, Poisson)
def _(p, q):
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


def _of_normal(q, mean, square):
    """The mean of -log q for normal q, from the mean of x and of x^2."""
    variance = q.scale.pow(2)
    return 0.5 * (2 * math.pi * variance).log() + 0.5 * (square - 2 * q.loc * mean + q.loc.pow(2)) / variance


def _of_gamma(q, mean, log_mean):
    """The mean of -log q for gamma q, from the mean of x and of log x."""
    a = q.concentration
    return a.lgamma() - a * q.rate.log() - (a - 1) * log_mean + q.rate * mean


def _of_exponential(q, mean):
    return -q.rate.log() + q.rate * mean


def _of_continuous_bernoulli(q, mean):
    return -mean * q.logits - (-q.probs).log1p() - q._cont_bern_log_norm()


@register_kl(Beta, ContinuousBernoulli)
def _(p, q):
    return -p.entropy() + _of_continuous_bernoulli(q, p.mean)


@register_kl(Beta, Exponential)
def _(p, q):
    return -p.entropy() + _of_exponential(q, p.mean)


@register_kl(Beta, Gamma)
def _(p, q):
    log_mean = p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    return -p.entropy() + _of_gamma(q, p.mean, log_mean)


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Gamma, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
def _(p, q):
    return -p.entropy() + _of_normal(q, p.mean, p.variance + p.mean.pow(2))


@register_kl(Pareto, Normal)
def _(p, q):
    square = p.alpha * p.scale.pow(2) / (p.alpha - 2)
    mean = p.alpha * p.scale / (p.alpha - 1)
    return (-p.entropy() + _of_normal(q, mean, square)).masked_fill(p.alpha <= 2, math.inf)


@register_kl(Beta, Uniform)
def _(p, q):
    return (-p.entropy() + (q.high - q.low).log()).masked_fill((q.low > 0) | (q.high < 1), math.inf)


@register_kl(ContinuousBernoulli, Exponential)
@register_kl(Gamma, Exponential)
def _(p, q):
    return -p.entropy() + _of_exponential(q, p.mean)


@register_kl(ContinuousBernoulli, Uniform)
def _(p, q):
    # PyTorch 2.13 gives infinity where the uniform support begins at 0 or later, or ends at 1 or earlier.
    return (-p.entropy() + (q.high - q.low).log()).masked_fill((q.low >= 0) | (q.high <= 1), math.inf)


@register_kl(Exponential, Gamma)
def _(p, q):
    return -p.entropy() + _of_gamma(q, p.mean, -euler_constant - p.rate.log())


@register_kl(Exponential, Gumbel)
def _(p, q):
    product, shift = p.rate * q.scale, q.loc / q.scale
    return product.log() - 1 - shift + shift.exp() * product / (product + 1) + product.reciprocal()


@register_kl(Gamma, Gumbel)
def _(p, q):
    product, shift = p.rate * q.scale, q.loc / q.scale
    return (
        -p.entropy() + q.scale.log() + p.mean / q.scale - shift
        + shift.exp() * (1 + product.reciprocal()).pow(-p.concentration)
    )  # fmt: skip


@register_kl(Normal, Gumbel)
def _(p, q):
    shift, ratio = (p.loc - q.loc) / q.scale, (p.scale / q.scale).pow(2)
    return -p.entropy() + q.scale.log() + shift + (0.5 * ratio - shift).exp()


@register_kl(Normal, Laplace)
def _(p, q):
    offset = p.loc - q.loc
    z = offset / p.scale
    distance = math.sqrt(2 / math.pi) * p.scale * (-0.5 * z.pow(2)).exp() + offset * (math.sqrt(0.5) * z).erf()
    return -p.entropy() + (2 * q.scale).log() + distance / q.scale


@register_kl(Pareto, Exponential)
def _(p, q):
    mean = p.alpha * p.scale / (p.alpha - 1)
    return (-p.entropy() + _of_exponential(q, mean)).masked_fill(p.alpha <= 1, math.inf)


@register_kl(Pareto, Gamma)
def _(p, q):
    mean, log_mean = p.alpha * p.scale / (p.alpha - 1), p.scale.log() + p.alpha.reciprocal()
    return (-p.entropy() + _of_gamma(q, mean, log_mean)).masked_fill(p.alpha <= 1, math.inf)


def _mean_log(low, high):
    """The mean of log x between `low` and `high`."""
    return (high.xlogy(high) - low.xlogy(low)) / (high - low) - 1


@register_kl(Uniform, Beta)
def _(p, q):
    a, b = q.concentration1, q.concentration0
    log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
    mean = (a - 1) * _mean_log(p.low, p.high) + (b - 1) * _mean_log(1 - p.high, 1 - p.low)
    return (-p.entropy() + log_beta - mean).masked_fill((p.high > 1) | (p.low < 0), math.inf)


@register_kl(Uniform, ContinuousBernoulli)
def _(p, q):
    # PyTorch 2.13 gives infinity where the uniform support touches 1 from below or reaches 0 from above.
    result = -p.entropy() + _of_continuous_bernoulli(q, p.mean)
    return result.masked_fill((p.high >= 1) | (p.low <= 0), math.inf)


@register_kl(Uniform, Exponential)
def _(p, q):
    return (-p.entropy() + _of_exponential(q, p.mean)).masked_fill(p.low < 0, math.inf)


@register_kl(Uniform, Gamma)
def _(p, q):
    return (-p.entropy() + _of_gamma(q, p.mean, _mean_log(p.low, p.high))).masked_fill(p.low < 0, math.inf)


@register_kl(Uniform, Gumbel)
def _(p, q):
    high, low = (p.high - q.loc) / q.scale, (p.low - q.loc) / q.scale
    common = q.scale / (p.high - p.low)
    return common.log() + 0.5 * (high + low) - common * ((-high).exp() - (-low).exp())


@register_kl(Uniform, Pareto)
def _(p, q):
    log_normalizer = (q.alpha * q.scale.pow(q.alpha)).log()
    result = -p.entropy() - log_normalizer + (q.alpha + 1) * _mean_log(p.low, p.high)
    return result.masked_fill(p.low < q.scale, math.inf)
