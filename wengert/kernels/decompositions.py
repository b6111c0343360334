"""Factorisations, inverses and solutions of linear systems, on LAPACK through NumPy; what NumPy lacks (LU, the matrix
exponential) in blocks of matrix products. All of them take batches: matrices in the last two dimensions.
"""

import math
import sys

import numpy as np

from wengert.dtypes import FROM_NUMPY, SCALAR_NAMES
from wengert.kernels.choices import offered
from wengert.kernels.matmul import times


class LinAlgError(RuntimeError):
    """A factorisation or solution that doesn't exist, such as the inverse of a singular matrix."""


def checked(A, name, square=False, least=2):
    """Refuse what LAPACK can't take, in PyTorch's words."""
    if A.ndim < least:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if A.dtype.kind not in "fc" or A.dtype.itemsize < 4:
        kind = SCALAR_NAMES[FROM_NUMPY[A.dtype]]
        if A.dtype.kind in "biu":
            raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {kind}")
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {kind}")
    if square and A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} matrices"
        )
    return A


LARGE = 256  # rows or columns from which several threads are of use


def decomposed(function, A, *rest, **options):
    """NumPy's function of matrices; of large ones with all threads of BLAS, where it was left with one."""
    fast = sys.modules.get("wengert.kernels.cpu.blas")
    if fast is None or min(A.shape[-2:]) < LARGE:
        return function(A, *rest, **options)
    with fast.all_threads():
        return function(A, *rest, **options)


def by_lapack(name, A, *rest):
    """What LAPACK itself makes of large matrices, where it can be called; else None."""
    return offered(f"decompositions.{name}", A.shape[-2] * A.shape[-1], A, *rest)


def H(A):
    return np.conj(A.mT)


def columns(X):
    """Laid out column by column, as LAPACK leaves its results."""
    return np.ascontiguousarray(X.mT).mT


def real_of(dtype):
    return np.dtype(np.float32 if dtype.itemsize == (8 if dtype.kind == "c" else 4) else np.float64)


def failed(name, info, sentence):
    """Raise for the first matrix of the batch with a non-zero `info`."""
    where = np.argwhere(np.atleast_1d(info) != 0)[0]
    number = int(np.atleast_1d(info)[tuple(where)])
    batch = f"(Batch element {int(np.ravel_multi_index(where, np.atleast_1d(info).shape))}): " if np.ndim(info) else ""
    raise LinAlgError(f"{name}: {batch}{sentence.format(number)}")


# --- LU ---------------------------------------------------------------------------------------------------------------

PANEL = 48


def lu_factor(A):
    """(L and U in one matrix, pivots from 1 on, info): Golub and Van Loan, algorithm 3.4.1, in panels."""
    fast = by_lapack("lu_factor", A)
    if fast is not None:
        return fast
    LU = np.array(A, order="C")
    batch, (m, n) = LU.shape[:-2], LU.shape[-2:]
    k = min(m, n)
    stack = LU.reshape(math.prod(batch), m, n)
    pivots = np.empty((len(stack), k), np.int32)
    info = np.zeros(len(stack), np.int32)
    for i, matrix in enumerate(stack):
        info[i] = lu_in_place(matrix, pivots[i])
    return columns(LU), pivots.reshape(*batch, k), info.reshape(batch)


def lu_in_place(a, pivots):
    m, n = a.shape
    k, info = min(m, n), 0
    for start in range(0, k, PANEL):
        stop = min(start + PANEL, k)
        for j in range(start, stop):
            column = a[j:, j]
            size = np.abs(column) if a.dtype.kind != "c" else np.abs(column.real) + np.abs(column.imag)
            p = j + int(size.argmax())
            pivots[j] = p + 1
            if a[p, j] == 0:
                info = info or j + 1
                continue
            if p != j:
                a[[j, p]] = a[[p, j]]
            a[j + 1 :, j] /= a[j, j]
            a[j + 1 :, j + 1 : stop] -= np.multiply.outer(a[j + 1 :, j], a[j, j + 1 : stop])
        if stop < n:
            lower = np.tril(a[start:stop, start:stop], -1) + np.eye(stop - start, dtype=a.dtype)
            a[start:stop, stop:] = decomposed(np.linalg.solve, lower, a[start:stop, stop:])
            a[stop:, stop:] -= a[stop:, start:stop] @ a[start:stop, stop:]
    return info


def permutation(pivots, m):
    """The permutation matrix P with A = P L U."""
    batch = pivots.shape[:-1]
    flat = pivots.reshape(math.prod(batch), pivots.shape[-1])
    result = np.zeros((len(flat), m, m), np.float32)
    for matrix, swaps in zip(result, flat, strict=True):
        order = list(range(m))
        for i, p in enumerate(swaps):
            order[i], order[p - 1] = order[p - 1], order[i]
        matrix[order, range(m)] = 1
    return result.reshape(*batch, m, m)


# --- inverses and solutions -------------------------------------------------------------------------------------------


def inv(A):
    checked(A, "linalg.inv", square=True)
    try:
        return inverted(A)
    except np.linalg.LinAlgError:
        failed(
            "linalg.inv",
            lu_factor(A)[2],
            "The diagonal element {} is zero, the inversion could not be completed because the "
            "input matrix is singular.",
        )


def inverted(A):
    fast = by_lapack("inv", A)
    return columns(decomposed(np.linalg.inv, A)) if fast is None else fast


def inv_ex(A, *, check_errors=False):
    """(inverse, info): info is 0, or the number of the pivot that is 0."""
    checked(A, "linalg.inv_ex", square=True)
    try:
        return inverted(A), np.zeros(A.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        if check_errors:
            inv(A)
        info = lu_factor(A)[2]
        result = np.full_like(A, np.inf)
        fine = info == 0
        result[fine] = decomposed(np.linalg.inv, A[fine])
        return result, info


def solve(A, B, left=True, vector=False):
    """X with A X = B (X A = B unless `left`), laid out as LAPACK leaves it: B's rows are solved for as columns."""
    if not left:
        return solve(A.mT, B.mT).mT
    B = B[..., None] if vector else B
    fast = by_lapack("solve", A, B)
    try:
        X = decomposed(np.linalg.solve, A, B) if fast is None else fast
    except np.linalg.LinAlgError:
        failed("torch.linalg.solve", lu_factor(A)[2], "The solver failed because the input matrix is singular.")
    X = X[..., 0] if vector else X
    return columns(X) if X.ndim > 1 else X


def solve_triangular(A, B, upper, unitriangular, left=True):
    fast = by_lapack("solve_triangular", A, B, upper, unitriangular, left)
    if fast is not None:
        return fast
    if not left:
        return columns(solve_triangular(A.mT, B.mT, not upper, unitriangular).mT)
    if unitriangular:
        triangle = np.triu(A, 1) if upper else np.tril(A, -1)
        triangle = triangle + np.eye(A.shape[-1], dtype=A.dtype)
    else:
        triangle = np.triu(A) if upper else np.tril(A)
    try:
        return columns(decomposed(np.linalg.solve, triangle, B))
    except np.linalg.LinAlgError:  # divided by 0, as BLAS does
        return columns(substituted(triangle, B, upper))


def substituted(T, B, upper):
    """Back or forward substitution, row by row."""
    n = T.shape[-1]
    batch = np.broadcast_shapes(T.shape[:-2], B.shape[:-2])
    X = np.array(np.broadcast_to(B, (*batch, *B.shape[-2:])))
    for i in range(n - 1, -1, -1) if upper else range(n):
        rest = slice(i + 1, n) if upper else slice(0, i)
        X[..., i, :] -= (T[..., i : i + 1, rest] @ X[..., rest, :])[..., 0, :]
        X[..., i, :] /= T[..., i, i, None]
    return X


def det(A):
    checked(A, "linalg.det", square=True)
    fast = by_lapack("det", A)
    return decomposed(np.linalg.det, A).astype(A.dtype, copy=False) if fast is None else fast


def slogdet(A):
    checked(A, "linalg.slogdet", square=True)
    fast = by_lapack("slogdet", A)
    sign, size = decomposed(np.linalg.slogdet, A) if fast is None else fast
    return np.asarray(sign, A.dtype), np.asarray(size, real_of(A.dtype))


def pinv(A, rtol, atol, hermitian):
    """The pseudo-inverse: singular values at or below the tolerance count as 0."""
    if not A.size:
        return np.zeros(A.mT.shape, A.dtype)
    if hermitian:
        values, vectors = eigh(A, "L")
        used = np.abs(values) > tolerance(np.abs(values), A, rtol, atol)
        inverted = np.where(used, 1 / np.where(used, values, 1), 0)
        return ((vectors * inverted[..., None, :]) @ H(vectors)).astype(A.dtype)
    U, S, Vh = svd(A, False)
    used = tolerance(S, A, rtol, atol) < S
    inverted = np.where(used, 1 / np.where(used, S, 1), 0)
    return ((H(Vh) * inverted[..., None, :]) @ H(U)).astype(A.dtype)


def tolerance(S, A, rtol, atol):
    """max(atol, rtol * the largest singular value); rtol is eps * max(m, n) unless a tolerance is given."""
    atol = 0 if atol is None else np.asarray(atol)[..., None]
    if rtol is None:
        rtol = np.where(np.asarray(atol) > 0, 0, np.finfo(S.dtype).eps * max(A.shape[-2:]))
    else:
        rtol = np.asarray(rtol)[..., None]
    return np.maximum(atol, rtol * S.max(-1, keepdims=True, initial=0))


def lstsq(A, B, rcond, driver):
    """(solution, residuals, rank, singular values) of least squares, matrix by matrix."""
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    m, n = A.shape[-2:]
    k = B.shape[-1]
    As, Bs = (np.broadcast_to(x, (*batch, *x.shape[-2:])).reshape(-1, *x.shape[-2:]) for x in (A, B))
    rcond = np.finfo(A.dtype).eps * max(m, n) if rcond is None else rcond
    found = [least_squares(a, b, rcond, driver) for a, b in zip(As, Bs, strict=True)]
    # LAPACK writes the solution over the right-hand side, which may be the longer of the two.
    workspace = np.zeros((*batch, k, max(m, n)), A.dtype)
    solution = workspace[..., :n].mT
    solution[...] = np.array([f[0] for f in found], A.dtype).reshape(*batch, n, k)
    real = real_of(A.dtype)
    ranks = np.array([f[2] for f in found], np.int64).reshape(batch)
    full = bool((ranks == n).all()) and m > n
    if full and driver != "gelsy":
        remains = np.abs(B - A @ solution)
        residuals = (remains * remains).sum(-2).astype(real)
    else:
        residuals = np.zeros(0, real)
    rank = np.zeros(0, np.int64) if driver == "gels" else ranks
    with_values = driver in ("gelsd", "gelss")
    values = np.array([f[3] for f in found], real).reshape(*batch, min(m, n)) if with_values else np.zeros(0, real)
    return solution, residuals, rank, values


def least_squares(a, b, rcond, driver):
    """(solution, residuals, rank, singular values) of one system; the solution and the rank alone by "gelsy"."""
    fast = by_lapack("least_squares", a, b, rcond) if driver == "gelsy" else None
    return decomposed(np.linalg.lstsq, a, b, rcond=rcond) if fast is None else (fast[0], None, fast[1], None)


# --- factorisations ---------------------------------------------------------------------------------------------------


def cholesky(A, upper):
    return cholesky_or_info(A, upper, True)[0]


def cholesky_or_info(A, upper, raise_errors):
    """(factor, info): info is 0, or the order of the leading minor that isn't positive definite."""
    fast = by_lapack("cholesky", A, upper)
    if fast is not None:
        return fast
    A = H(A) if upper else A
    try:
        L, info = decomposed(np.linalg.cholesky, A), np.zeros(A.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        stack = A.reshape(-1, *A.shape[-2:])
        each = [first_minor(a) for a in stack]
        info = np.array(each, np.int32).reshape(A.shape[:-2])
        if raise_errors:
            failed(
                "linalg.cholesky",
                info,
                "The factorization could not be completed because the input is not positive-definite "
                "(the leading minor of order {} is not positive-definite).",
            )
        L = np.array(
            [decomposed(np.linalg.cholesky, a) if not i else np.tril(a) for a, i in zip(stack, each, strict=True)]
        ).reshape(A.shape)
    return (H(L) if upper else columns(L)), info


def first_minor(a):
    """The order of the first leading minor that isn't positive definite; 0 if none."""
    for order in range(1, len(a) + 1):
        try:
            decomposed(np.linalg.cholesky, a[:order, :order])
        except np.linalg.LinAlgError:
            return order
    return 0


def cholesky_solve(input, L, upper):
    L = H(L) if upper else L
    return solve_triangular(H(L), solve_triangular(L, input, False, False), True, False)


def cholesky_inverse(input, upper):
    half = solve_triangular(H(input) if upper else input, np.eye(input.shape[-1], dtype=input.dtype), False, False)
    return columns(H(half) @ half)


def qr(A, mode):
    fast = by_lapack("qr", A, mode)
    if fast is not None:
        return fast
    if mode == "r":
        return np.zeros(0, A.dtype), columns(decomposed(np.linalg.qr, A, "r"))
    Q, R = decomposed(np.linalg.qr, A, mode)
    return columns(Q), columns(R)


def geqrf(input):
    checked(input, "torch.geqrf")
    m, n = input.shape[-2:]
    if not input.size:
        return columns(input.copy()), np.zeros((*input.shape[:-2], min(m, n)), input.dtype)
    raw = [decomposed(np.linalg.qr, a, "raw") for a in input.reshape(-1, m, n)]
    a = np.array([h.T for h, _ in raw], input.dtype).reshape(input.shape)
    return columns(a), np.array([tau for _, tau in raw], input.dtype).reshape(*input.shape[:-2], min(m, n))


def eigh(A, UPLO):
    fast = by_lapack("eigh", A, UPLO)
    if fast is not None:
        return fast
    values, vectors = decomposed(np.linalg.eigh, A, UPLO)
    return values, columns(vectors)


def eig(A):
    if not np.isfinite(A).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    values, vectors = decomposed(np.linalg.eig, A)
    kind = np.complex64 if real_of(A.dtype) == np.float32 else np.complex128
    return values.astype(kind), columns(vectors.astype(kind))


def svd(A, full_matrices):
    fast = by_lapack("svd", A, full_matrices)
    if fast is not None:
        return fast
    try:
        U, S, Vh = decomposed(np.linalg.svd, A, full_matrices=full_matrices)
        return columns(U), S, columns(Vh)
    except np.linalg.LinAlgError:
        if not np.isfinite(A).all():
            why = "contained non-finite values."
        else:
            why = "is ill-conditioned or has too many repeated singular values (error code: 1)."
        raise LinAlgError(
            f"linalg.svd: The algorithm failed to converge because the input matrix {why}"
        ) from None


def svdvals(A):
    fast = by_lapack("svd", A, False, False)
    return decomposed(np.linalg.svd, A, compute_uv=False) if fast is None else fast[1]


# --- the exponential --------------------------------------------------------------------------------------------------

# The Padé approximants by the bits of a real number: up to which norm each is exact to them, and its coefficients.
PADE = {
    32: (3.925724783138660, (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0)),
    64: (5.371920351148152, (
        64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
        10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
    )),
}  # fmt: skip


def matrix_exp(A):
    """Scaling and squaring around a Padé approximant, of order 7 or 13: N. J. Higham, SIMAX 26 (2005)."""
    if not A.size:
        return A.copy()
    limit, coefficients = PADE[8 * real_of(A.dtype).itemsize]
    largest = float(np.nan_to_num(np.abs(A).sum(-2).max(), posinf=1.0))
    squarings = max(0, math.ceil(math.log2(largest / limit))) if largest > 0 else 0
    X = A / 2**squarings
    X2 = times(X, X)
    X4 = times(X2, X2)
    X6 = times(X2, X4)
    one = np.eye(A.shape[-1], dtype=A.dtype)

    def half(b):
        """The even powers of a polynomial, or the odd ones over X."""
        low = b[0] * one + b[1] * X2 + b[2] * X4 + b[3] * X6
        return low + times(X6, b[4] * X2 + b[5] * X4 + b[6] * X6) if len(b) > 4 else low

    U, V = times(X, half(coefficients[1::2])), half(coefficients[::2])
    R = solve(V - U, V + U)
    for _ in range(squarings):
        R = times(R, R)
    return np.ascontiguousarray(R)


# --- LDL, on LAPACK through SciPy --------------------------------------------------------------------------------


def lapack(names, A, hermitian):
    """LAPACK's routines for symmetric, or Hermitian, matrices; raises ImportError that says what to install."""
    try:
        from scipy.linalg import get_lapack_funcs

        prefix = "he" if hermitian and A.dtype.kind == "c" else "sy"
        return get_lapack_funcs([prefix + name for name in names], (A,))
    except (ImportError, ValueError):
        raise ImportError(
            "linalg.ldl_factor is computed by SciPy (1.16 or later): pip install 'wengert[scipy]'"
        ) from None


def ldl_factor(A, hermitian):
    """(L and D in one lower triangle, pivots, info): the factors of Bunch and Kaufman."""
    (factor,) = lapack(("trf",), A, hermitian)
    n = A.shape[-1]
    if not A.size:
        return columns(A.copy()), np.zeros(A.shape[:-1], np.int32), np.zeros(A.shape[:-2], np.int32)
    found = [factor(a, lower=1) for a in A.reshape(-1, n, n)]
    LD = np.array([np.tril(f[0]) for f in found], A.dtype).reshape(A.shape)
    pivots = np.array([f[1] for f in found], np.int32).reshape(A.shape[:-1])
    return columns(LD), pivots, np.array([f[2] for f in found], np.int32).reshape(A.shape[:-2])


def ldl_solve(LD, pivots, B, hermitian):
    (solver,) = lapack(("trs",), LD, hermitian)
    batch = np.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    n, k = LD.shape[-1], B.shape[-1]
    if not (n and k and math.prod(batch)):
        return np.zeros((*batch, n, k), B.dtype)
    factors = np.broadcast_to(LD, (*batch, n, n)).reshape(-1, n, n)
    swaps = np.broadcast_to(pivots, (*batch, n)).reshape(-1, n)
    sides = np.broadcast_to(B, (*batch, n, k)).reshape(-1, n, k)
    solved = [solver(a, p, b, lower=1)[0] for a, p, b in zip(factors, swaps, sides, strict=True)]
    return columns(np.array(solved, B.dtype).reshape(*batch, n, k))
