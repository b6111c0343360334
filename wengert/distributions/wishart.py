"""The Wishart distribution."""

import math
import warnings

import wengert
from wengert.distributions import constraints
from wengert.distributions.chi2 import Chi2
from wengert.distributions.distribution import Distribution
from wengert.distributions.exp_family import ExponentialFamily
from wengert.distributions.multivariate_normal import MATRICES, OfMatrix, factor_of, log_diagonal
from wengert.distributions.utils import as_size, is_number

__all__ = ["Wishart"]

LOG_2 = math.log(2)


class Wishart(OfMatrix, ExponentialFamily):
    """Sums of `df` products x x^T of normal vectors of the given covariance.

    Args:
        df: greater than n - 1, a number or a tensor.
        covariance_matrix, precision_matrix, scale_tril: one of them, (..., n, n).
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        matrices = dict(zip(MATRICES, (covariance_matrix, precision_matrix, scale_tril), strict=True))
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise AssertionError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        if is_number(df):
            batch_shape = matrix.shape[:-2]
            self.df = wengert.tensor(df, dtype=matrix.dtype)
        else:
            batch_shape = as_size(wengert.broadcast_shapes(matrix.shape[:-2], df.shape))
            self.df = df.expand(batch_shape)
        n = matrix.shape[-1]
        if (self.df <= n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        if (self.df < n).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self.__dict__[name] = matrix.expand((*batch_shape, -1, -1))
        super().__init__(batch_shape, matrix.shape[-2:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)
        self._dist_chi2 = self._diagonal_squares()

    def _diagonal_squares(self):
        n = self._event_shape[-1]
        return Chi2((self.df.unsqueeze(-1) - wengert.arange(n, dtype=self.df.dtype)).expand((*self._batch_shape, n)))

    def expand(self, batch_shape, _instance=None):
        new = self._get_checked_instance(Wishart, _instance)
        batch_shape = as_size(batch_shape)
        shape = batch_shape + self._event_shape
        new.df = self.df.expand(batch_shape)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril.expand(shape)
        for name in MATRICES:
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name].expand(shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        new._dist_chi2 = new._diagonal_squares()
        return new

    def _precision(self):
        # by cholesky_solve, whose gradient reaches the whole of the factor, as PyTorch's does
        factor = self._unbroadcasted_scale_tril
        return wengert.cholesky_solve(wengert.eye(factor.shape[-1], dtype=factor.dtype), factor)

    @property
    def arg_constraints(self):
        positive_definite = constraints.positive_definite
        return {
            "covariance_matrix": positive_definite,
            "precision_matrix": positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    def _of_matrix(self, x):
        """A number for each of the batch, shaped to multiply matrices."""
        return x.expand(self._batch_shape).reshape((*self._batch_shape, 1, 1))

    mean = property(lambda self: self._of_matrix(self.df) * self.covariance_matrix)

    @property
    def mode(self):
        factor = self.df - self._event_shape[-1] - 1
        return self._of_matrix(factor.masked_fill(factor <= 0, math.nan)) * self.covariance_matrix

    @property
    def variance(self):
        covariance = self.covariance_matrix
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self._of_matrix(self.df) * (covariance.pow(2) + outer)

    def _bartlett(self, sample_shape):
        """Bartlett's decomposition: chi variables on the diagonal, normals below it."""
        n = self._event_shape[-1]
        diagonal = self._dist_chi2.rsample(sample_shape).sqrt()
        noise = diagonal.clamp(min=wengert.finfo(diagonal.dtype).eps).diag_embed()
        below = wengert.randn((*sample_shape, *self._batch_shape, n * (n - 1) // 2), dtype=noise.dtype)
        i, j = wengert.tril_indices(n, n, offset=-1)
        lower = wengert.zeros_like(noise)
        lower[..., i, j] = below
        factor = self._unbroadcasted_scale_tril @ (noise + lower)
        return factor @ factor.mT

    def rsample(self, sample_shape=(), max_try_correction=10):
        """Samples; singular ones are drawn anew, at most `max_try_correction` times."""
        sample_shape = as_size(sample_shape)
        sample = self._bartlett(sample_shape)
        # PyTorch 2.13 draws once more what is already positive definite: the same stream asks for the same here.
        pending = self._over_batch(self.support.check(sample))
        for _ in range(max_try_correction):
            if not pending.any():
                break
            again = self._bartlett((int(pending.sum()),))
            sample[pending] = again
            remaining = pending.clone()  # backward needs the old flags
            remaining[pending] = self._over_batch(~self.support.check(again))
            pending = remaining
        return sample

    def _over_batch(self, flags):
        """Whether any of the batch is flagged, for each sample."""
        dims = len(self._batch_shape)
        return flags.reshape(flags.shape[: flags.dim() - dims] + (-1,)).any(-1) if dims else flags

    def log_prob(self, value):
        self._check(value)
        nu, n, factor = self.df, self._event_shape[-1], self._unbroadcasted_scale_tril
        trace = wengert.cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(-1)
        return (
            -nu * (n * LOG_2 / 2 + log_diagonal(factor))
            - (nu / 2).mvlgamma(n)
            + (nu - n - 1) / 2 * wengert.linalg.slogdet(value).logabsdet
            - trace / 2
        )

    def entropy(self):
        nu, n = self.df, self._event_shape[-1]
        mvdigamma = (nu.unsqueeze(-1) / 2 - wengert.arange(n, dtype=nu.dtype) / 2).digamma().sum(-1)
        return (
            (n + 1) * (n * LOG_2 / 2 + log_diagonal(self._unbroadcasted_scale_tril))
            + (nu / 2).mvlgamma(n)
            - (nu - n - 1) / 2 * mvdigamma
            + nu * n / 2
        )

    @property
    def _natural_params(self):
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x, y):
        n = self._event_shape[-1]
        half = y + (n + 1) / 2
        return half * (-wengert.linalg.slogdet(-2 * x).logabsdet + LOG_2 * n) + half.mvlgamma(n)
