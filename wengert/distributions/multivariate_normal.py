"""The multivariate normal distribution."""

import math

import wengert
from wengert.distributions import constraints
from wengert.distributions.distribution import Distribution
from wengert.distributions.utils import _standard_normal, lazy_property

__all__ = ["MultivariateNormal"]

MATRICES = ("covariance_matrix", "precision_matrix", "scale_tril")


def times(matrix, vector):
    """Matrices times vectors, in batches."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def log_diagonal(triangle):
    """The logarithm of a triangular matrix's determinant."""
    return triangle.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def mahalanobis(triangle, x):
    """x^T (L L^T)^-1 x for vectors `x` (..., n) and lower triangles L (..., n, n), whose batch broadcasts to x's."""
    n, batch = x.shape[-1], triangle.dim() - 2
    if batch == 0:  # one matrix: all vectors are solved for together, as columns
        columns = x.reshape(-1, n).T
        return wengert.linalg.solve_triangular(triangle, columns, upper=False).pow(2).sum(-2).reshape(x.shape[:-1])
    triangle = triangle.expand(x.shape[:-1] + (n, n))
    return wengert.linalg.solve_triangular(triangle, x.unsqueeze(-1), upper=False).pow(2).sum((-2, -1))


def factor_of(name, matrix):
    """The lower Cholesky factor of the covariance that is given by the parameter `name`."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return wengert.linalg.cholesky(matrix)
    return _precision_to_scale_tril(matrix)


def _precision_to_scale_tril(P):
    """The lower Cholesky factor of the inverse of `P`."""
    # P = U U^T with upper U makes P^-1 = U^-T U^-1, and U is the factor of P read backward
    upper = wengert.linalg.cholesky(P.flip((-2, -1))).flip((-2, -1)).mT
    identity = wengert.eye(P.shape[-1], dtype=P.dtype)
    return wengert.linalg.solve_triangular(upper, identity, upper=False)


class OfMatrix:
    """One matrix is given as covariance, as precision or as Cholesky factor; the others are derived when asked for."""

    @property
    def _matrix_shape(self):
        n = self._event_shape[-1]
        return (*self._batch_shape, n, n)

    @lazy_property
    def scale_tril(self):
        """The lower Cholesky factor of the covariance."""
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape)

    @lazy_property
    def covariance_matrix(self):
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand(self._matrix_shape)

    def _precision(self):
        return wengert.cholesky_inverse(self._unbroadcasted_scale_tril)

    @lazy_property
    def precision_matrix(self):
        """The inverse of the covariance."""
        return self._precision().expand(self._matrix_shape)


class MultivariateNormal(OfMatrix, Distribution):
    """Normal vectors.

    Args:
        loc: the mean (..., n).
        covariance_matrix, precision_matrix, scale_tril: one of them, (..., n, n); `scale_tril`, the Cholesky factor of
            the covariance, is what the others are turned into.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _batched = ("loc", *MATRICES)
    _kept = ("_unbroadcasted_scale_tril",)

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        matrices = dict(zip(MATRICES, (covariance_matrix, precision_matrix, scale_tril), strict=True))
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )  # fmt: skip
        ((name, matrix),) = given
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = wengert.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand((*batch_shape, -1))
        self.__dict__[name] = matrix.expand((*batch_shape, -1, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)

    @property
    def variance(self):
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape=()):
        noise = _standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + times(self._unbroadcasted_scale_tril, noise)

    def log_prob(self, value):
        self._check(value)
        factor = self._unbroadcasted_scale_tril
        distance = mahalanobis(factor, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - log_diagonal(factor)

    def entropy(self):
        constant = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (constant + log_diagonal(self._unbroadcasted_scale_tril)).expand(self._batch_shape)
