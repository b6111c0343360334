"""LAPACK called directly computes what the reference computes, in every shape, type and layout."""

import numpy as np
import pytest

from wengert.kernels import choices
from wengert.kernels import decompositions as reference
from wengert.kernels.cpu import lapack

pytestmark = pytest.mark.skipif(lapack.routine("sgetrf") is None, reason="NumPy carries another LAPACK here")
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
REAL = DTYPES[:2]


@pytest.fixture(autouse=True)
def reference_alone(monkeypatch):
    monkeypatch.setattr(choices.state, "active", False)


def matrices(dtype, *shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def close(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    eps = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=2e3 * eps, atol=2e3 * eps * np.abs(expected).max(initial=1))


def layouts(A):
    """Row by row, column by column, and neither."""
    return [A, np.ascontiguousarray(A.mT).mT, np.repeat(A, 2, -1)[..., ::2]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_lu(dtype):
    for shape in ((5, 5), (2, 4, 7), (7, 4)):
        for A in layouts(matrices(dtype, *shape)):
            for found, expected in zip(lapack.lu_factor(A), reference.lu_factor(A), strict=True):
                close(found, expected) if found.dtype.kind != "i" else np.testing.assert_array_equal(found, expected)
    singular = np.zeros((3, 3), dtype)
    assert lapack.lu_factor(singular)[2] == reference.lu_factor(singular)[2] == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_solutions(dtype):
    for a, b in (((6, 6), (6, 3)), ((2, 5, 5), (5, 1)), ((4, 4), (3, 4, 2))):
        B = matrices(dtype, *b, seed=1)
        for A in layouts(matrices(dtype, *a)):
            close(lapack.solve(A, B), reference.solve(A, B))
            close(lapack.inv(A), reference.inv(A))
            close(lapack.det(A), np.asarray(reference.det(A)))
    assert lapack.solve(np.zeros((3, 3), dtype), np.ones((3, 1), dtype)) is None
    assert lapack.inv(np.zeros((3, 3), dtype)) is None


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_triangles(dtype, upper, unit, left):
    B = matrices(dtype, 2, *((5, 3) if left else (3, 5)), seed=1)
    for A in layouts(matrices(dtype, 5, 5) + 4 * np.eye(5, dtype=dtype)):
        close(lapack.solve_triangular(A, B, upper, unit, left), reference.solve_triangular(A, B, upper, unit, left))


@pytest.mark.parametrize("dtype", REAL)
def test_logarithms_of_determinants(dtype):
    for found, expected in zip(lapack.slogdet(matrices(dtype, 3, 6, 6)), reference.slogdet(matrices(dtype, 3, 6, 6)),
                               strict=True):  # fmt: skip
        close(found, expected)
    sign, size = lapack.slogdet(np.zeros((3, 3), dtype))
    assert sign == 0 and size == -np.inf


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky(dtype, upper):
    A = matrices(dtype, 2, 5, 5)
    A = A @ A.mT.conj() + np.eye(5, dtype=dtype)
    close(lapack.cholesky(A, upper)[0], reference.cholesky(A, upper))
    assert lapack.cholesky(-A, upper) is None


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("shape", [(6, 6), (2, 7, 4), (4, 7)])
def test_orthogonal_factors(dtype, shape):
    for A in layouts(matrices(dtype, *shape)):
        for mode in ("reduced", "complete", "r"):
            for found, expected in zip(lapack.qr(A, mode), reference.qr(A, mode), strict=True):
                close(found, expected)
        for full in (True, False):
            U, S, Vh = lapack.svd(A, full)
            assert U.shape[-1] == (shape[-2] if full else min(shape[-2:]))
            k = S.shape[-1]
            close(U[..., :k] * S[..., None, :] @ Vh[..., :k, :], np.ascontiguousarray(A))
            close(S, reference.svdvals(A))
        close(lapack.svd(A, False, False)[1], reference.svdvals(A))
    assert lapack.svd(np.full(shape, np.nan, dtype), False) is None


@pytest.mark.parametrize("UPLO", ["L", "U"])
@pytest.mark.parametrize("dtype", REAL)
def test_eigenvalues(dtype, UPLO):
    A = matrices(dtype, 2, 6, 6)
    values, vectors = lapack.eigh(A, UPLO)
    whole = np.tril(A) + np.tril(A, -1).mT if UPLO == "L" else np.triu(A) + np.triu(A, 1).mT
    close(values, reference.eigh(A, UPLO)[0])
    close(whole @ vectors, vectors * values[..., None, :])


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
def test_least_squares(dtype, shape):
    A, B = matrices(dtype, *shape), matrices(dtype, shape[0], 2, seed=1)
    X, rank = lapack.least_squares(A, B, 1e-5)
    close(X, reference.least_squares(A, B, 1e-5, "gelsd")[0])
    assert rank == min(shape)
