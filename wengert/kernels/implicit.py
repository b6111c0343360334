"""Implicit reparameterization: how a sample moves when a parameter of its distribution does.

A sample x with the distribution function F(x; a) stays at the same quantile while `a` moves, so that
dx/da = -(dF/da) / (dF/dx) (Figurnov, Mohamed and Mnih, "Implicit Reparameterization Gradients", 2018).  F is summed
here as a power series of positive terms that starts with a simple multiple of the density; dividing by the density,
term by term, leaves no exponential to overflow, and differentiating each logarithmically gives dF/da.
"""

import numpy as np

from wengert.kernels.special import digamma

LARGE_SHAPE = 1e4
"""From here on the series of the gamma distribution has many terms, and the expansion for large shapes is as exact."""


def standard_gamma_grad(alpha: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx/dalpha for gamma variates `x` of the shapes `alpha` (arrays of one shape and floating dtype)."""
    a, x64 = alpha.astype(np.float64), x.astype(np.float64)
    large = a > LARGE_SHAPE
    slope = np.empty(np.broadcast_shapes(a.shape, x64.shape))
    a, x64 = np.broadcast_arrays(a, x64)
    slope[~large] = _gamma_by_series(a[~large], x64[~large])
    slope[large] = _gamma_of_large_shape(a[large], x64[large])
    return slope.astype(x.dtype, copy=False)


def _gamma_by_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """-(dP/da)/density, by P(a, x) = x^a e^-x sum over n of x^n / Gamma(a + n + 1)."""
    with np.errstate(all="ignore"):
        term = x / a
        logarithm = np.log(x) - digamma(a + 1)  # of the n-th term, differentiated by a
        total = -term * logarithm
        n = 1
        while True:
            term = term * (x / (a + n))
            logarithm = logarithm - 1 / (a + n)
            step = term * logarithm
            total -= step
            if not np.any((np.abs(step) > 1e-17 * np.abs(total)) | (x > a + n)):
                return total
            n += 1


def _gamma_of_large_shape(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Differentiates Cornish and Fisher's expansion, x = a + z sqrt(a) + (z^2 - 1)/3 + (z^3 - 7z)/(36 sqrt(a)) + ..."""
    root = np.sqrt(a)
    s = z = (x - a) / root
    for _ in range(3):  # the standard normal quantile z, by iteration
        z = s - (z * z - 1) / (3 * root) - (z**3 - 7 * z) / (36 * a)
    return 1 + z / (2 * root) - (z**3 - 7 * z) / (72 * a * root)


def dirichlet_grad(x: np.ndarray, alpha: np.ndarray, total: np.ndarray) -> np.ndarray:
    """dx/dalpha / (1 - x) for components `x`, which are beta variates of the shapes alpha and total - alpha.

    With this scale the gradient of a whole Dirichlet sample is the product with g - sum(x * g).
    """
    x64, a, b = np.broadcast_arrays(x.astype(np.float64), alpha.astype(np.float64), (total - alpha).astype(np.float64))
    low = x64 <= 0.5
    slope = np.empty(x64.shape)
    slope[low] = _beta_by_series(x64[low], 1 - x64[low], a[low], b[low], True)
    # I_x(a, b) = 1 - I_(1-x)(b, a): the series of the other component converges faster.
    slope[~low] = -_beta_by_series(1 - x64[~low], x64[~low], b[~low], a[~low], False)
    return slope.astype(x.dtype, copy=False)


def _beta_by_series(x: np.ndarray, rest: np.ndarray, a: np.ndarray, b: np.ndarray, first: bool) -> np.ndarray:
    """-(dI/da)/density if `first`, else -(dI/db)/density, without the factor 1 - x of the component that is asked for.

    I = x^a rest^b / (a B(a, b)) * sum over n of the product over k < n of x (a + b + k) / (a + 1 + k).
    """
    with np.errstate(all="ignore"):
        both = digamma(a + b)
        logarithm = np.log(x) + both - digamma(a + 1) if first else np.log(rest) + both - digamma(b)
        term = (x if first else rest) / a
        sum_ = term * logarithm
        n = 0
        while True:
            ratio = x * (a + b + n) / (a + 1 + n)
            term = term * ratio
            logarithm = logarithm + 1 / (a + b + n) - (1 / (a + 1 + n) if first else 0.0)
            step = term * logarithm
            sum_ += step
            if not np.any((np.abs(step) > 1e-17 * np.abs(sum_)) | (ratio > 1)):
                return -sum_
            n += 1
