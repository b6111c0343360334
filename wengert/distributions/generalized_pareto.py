"""The generalized Pareto distribution."""

import math

import wengert
from wengert.distributions import constraints
from wengert.distributions.distribution import Distribution
from wengert.distributions.utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Excesses over the threshold `loc`: a power law for positive `concentration`, exponential for 0, else bounded."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True
    _batched = ("loc", "scale", "concentration")
    _kept = ()

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        end = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, wengert.where(self.concentration < 0, end, math.inf))

    def _shape(self):
        """Where the concentration is 0, and the concentration with 1 in those places."""
        zero = wengert.isclose(self.concentration, wengert.zeros_like(self.concentration))
        return zero, self.concentration.masked_fill(zero, 1.0)

    @property
    def mean(self):
        valid = self.concentration < 1
        shape = self.concentration.masked_fill(~valid, 0.5)
        return (self.loc + self.scale / (1 - shape)).masked_fill(~valid, math.nan)

    @property
    def variance(self):
        valid = self.concentration < 0.5
        shape = self.concentration.masked_fill(~valid, 0.25)
        return (self.scale**2 / ((1 - shape) ** 2 * (1 - 2 * shape))).masked_fill(~valid, math.nan)

    mode = property(lambda self: self.loc)

    def rsample(self, sample_shape=()):
        return self.icdf(wengert.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def log_prob(self, value):
        self._check(value)
        z = (value - self.loc) / self.scale
        zero, shape = self._shape()
        power = 1 / shape + wengert.ones_like(z)
        exponent = wengert.where(power == 0, power, power * (shape * z).log1p())
        return -self.scale.log() - wengert.where(zero, z, exponent)

    def log_survival_function(self, value):
        """The logarithm of the probability of samples beyond `value`."""
        self._check(value)
        z = (value - self.loc) / self.scale
        zero, shape = self._shape()
        return wengert.where(zero, -z, -(shape * z).log1p() / shape)

    def log_cdf(self, value):
        """The logarithm of `cdf`."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value):
        return self.log_cdf(value).exp()

    def icdf(self, value):
        zero, shape = self._shape()
        log_rest = (-value).log1p()
        power = self.loc + self.scale / shape * (-shape * log_rest).expm1()
        return wengert.where(zero, self.loc - self.scale * log_rest, power)

    def entropy(self):
        return (self.scale.log() + self.concentration + 1).expand(self._batch_shape)
