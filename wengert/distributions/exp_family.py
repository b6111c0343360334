"""Exponential families: p(x; theta) = exp(<t(x), theta> - F(theta) + k(x)); entropy follows by differentiation."""

import wengert
from wengert.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A distribution with natural parameters theta and log normalizer F.

    Entropy and Kullback-Leibler divergences are Bregman divergences of F (Nielsen and Nock, 2010).
    """

    @property
    def _natural_params(self):
        """The tensors theta."""
        raise NotImplementedError

    def _log_normalizer(self, *natural_params):
        """F(theta)."""
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self):
        """The mean of k(x)."""
        raise NotImplementedError

    def _slopes(self):
        """theta as leaves, F(theta) and its gradient, which is the mean of t(x)."""
        leaves = [theta.detach().requires_grad_() for theta in self._natural_params]
        normalizer = self._log_normalizer(*leaves)
        return leaves, normalizer, wengert.autograd.grad(normalizer.sum(), leaves, create_graph=True)

    def entropy(self):
        leaves, result, slopes = self._slopes()
        result = result - self._mean_carrier_measure
        for theta, slope in zip(leaves, slopes, strict=True):
            result = result - (theta * slope).reshape((*self._batch_shape, -1)).sum(-1)
        return result
