"""Linear algebra in the precision of the matrices, by the LAPACK that NumPy carries.

NumPy's own functions compute single precision in double, and offer neither LU nor triangular solutions. Here each
matrix of a batch is one call of LAPACK's routine, in place on a copy laid out column by column, which is the result.
What doesn't succeed (a singular matrix, say) is left to the reference, which knows what to say of it.
"""

import contextlib
import ctypes
from functools import cache, wraps
from math import prod

import numpy as np

from wengert.kernels.cpu import blas
from wengert.kernels.decompositions import LARGE

LETTERS = {np.dtype(kind): letter for kind, letter in (("f4", "s"), ("f8", "d"), ("c8", "c"), ("c16", "z"))}
REAL = "sd"
SYMBOLS = ("scipy_{}_64_", "{}_64_")  # in builds whose integers have 64 bits


@cache
def routine(name):
    """A routine of NumPy's library by its name; None in a build that has it under another."""
    for library in blas.libraries():
        for symbol in SYMBOLS:
            found = getattr(library.dynlib, symbol.format(name), None)
            if found is not None:
                found.restype = None
                return found
    return None


def passed(x):
    """An argument as Fortran takes it: by its address."""
    if isinstance(x, np.ndarray):
        return ctypes.c_void_p(x.ctypes.data)
    return ctypes.c_char_p(x) if isinstance(x, bytes) else ctypes.byref(ctypes.c_int64(x))


def run(name, dtype, *arguments):
    """Run a routine. The lengths of texts come last, as compilers pass them."""
    texts = [ctypes.c_size_t(1) for x in arguments if isinstance(x, bytes)]
    routine(LETTERS[dtype] + name)(*map(passed, arguments), *texts)


def call(name, dtype, *arguments):
    """Run a routine of LAPACK; returns its `info`, 0 if it succeeded."""
    info = np.zeros(1, np.int64)
    run(name, dtype, *arguments, info)
    return int(info[0])


def call_in(name, dtype, *arguments, after=()):
    """`call` with a workspace of the size that the routine asks for, behind `arguments`."""
    asked = np.zeros(1, dtype)
    call(name, dtype, *arguments, asked, -1, *after)
    size = max(1, int(asked[0].real))
    return call(name, dtype, *arguments, np.empty(size, dtype), size, *after)


def by_columns(A):
    """A copy of matrices (*batch, m, n) as LAPACK wants them, in memory (matrices, n, m)."""
    return np.array(A.mT, order="C").reshape(-1, A.shape[-1], A.shape[-2])


def as_matrices(memory, batch):
    return memory.reshape(*batch, *memory.shape[1:]).mT


def in_kinds(letters):
    """For matrices of these types, with all threads where they are large; others are left to the reference."""

    def decorate(function):
        @wraps(function)
        def fitting(A, *rest, **options):
            if LETTERS.get(A.dtype, " ") not in letters or not A.size or routine("sgetrf") is None:
                return None
            with blas.all_threads() if min(A.shape[-2:]) >= LARGE else contextlib.nullcontext():
                return function(A, *rest, **options)

        return fitting

    return decorate


# --- solutions --------------------------------------------------------------------------------------------------------


@in_kinds("sdcz")
def lu_factor(A):
    LU, batch, (m, n) = by_columns(A), A.shape[:-2], A.shape[-2:]
    pivots = np.empty((len(LU), min(m, n)), np.int64)
    info = [call("getrf", A.dtype, m, n, a, m, p) for a, p in zip(LU, pivots, strict=True)]
    k = min(m, n)
    return as_matrices(LU, batch), pivots.astype(np.int32).reshape(*batch, k), np.array(info, np.int32).reshape(batch)


@in_kinds("sdcz")
def solve(A, B):
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    n, k = B.shape[-2:]
    if B.dtype != A.dtype or not B.size:
        return None
    LU, X = (by_columns(np.broadcast_to(x, (*batch, *x.shape[-2:]))) for x in (A, B))
    pivots = np.empty(n, np.int64)
    if any(call("gesv", A.dtype, n, k, a, n, pivots, x, n) for a, x in zip(LU, X, strict=True)):
        return None
    return as_matrices(X, batch)


@in_kinds("sdcz")
def solve_triangular(A, B, upper, unitriangular, left):
    if B.dtype != A.dtype or not B.size:
        return None
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    X = by_columns(np.broadcast_to(B, (*batch, *B.shape[-2:])))
    if A.mT.flags.c_contiguous:
        A, transposed = A.mT, False
    else:  # rows are the columns of the transpose, which is triangular the other way
        A, transposed = np.ascontiguousarray(A), True
    n, (m, k) = A.shape[-1], B.shape[-2:]
    how = (b"L" if left else b"R", b"U" if upper != transposed else b"L", b"T" if transposed else b"N",
           b"U" if unitriangular else b"N")  # fmt: skip
    triangles, one = np.broadcast_to(A, (*batch, n, n)).reshape(-1, n, n), np.ones(1, A.dtype)
    for a, x in zip(triangles, X, strict=True):
        run("trsm", A.dtype, *how, m, k, one, a, n, x, m)
    return as_matrices(X, batch)


@in_kinds("sdcz")
def inv(A):
    X, n = by_columns(A), A.shape[-1]
    pivots = np.empty(n, np.int64)
    for x in X:
        if call("getrf", A.dtype, n, n, x, n, pivots) or call_in("getri", A.dtype, n, x, n, pivots):
            return None
    return as_matrices(X, A.shape[:-2])


def diagonal(A):
    """(diagonal of U, sign of the permutation) of LU."""
    LU, pivots, _ = lu_factor(A)
    swaps = (pivots != np.arange(1, pivots.shape[-1] + 1)).sum(-1)
    return np.diagonal(LU, 0, -2, -1), (1 - 2 * (swaps % 2)).astype(A.dtype)


@in_kinds("sdcz")
def det(A):
    values, sign = diagonal(A)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return values.prod(-1) * sign


@in_kinds(REAL)
def slogdet(A):
    values, sign = diagonal(A)
    with np.errstate(divide="ignore"):
        return sign * np.sign(values).prod(-1), np.log(np.abs(values)).sum(-1)


@in_kinds("sdcz")
def cholesky(A, upper):
    """(factor, info), the latter 0 for all matrices."""
    X, n = by_columns(A), A.shape[-1]
    if any(call("potrf", A.dtype, b"U" if upper else b"L", n, x, n) for x in X):
        return None
    return as_matrices(np.tril(X) if upper else np.triu(X), A.shape[:-2]), np.zeros(A.shape[:-2], np.int32)


@in_kinds(REAL)
def least_squares(A, B, rcond):
    """(solution, rank) of one system, by complete orthogonal factorisation."""
    (m, n), k = A.shape, B.shape[1]
    if B.dtype != A.dtype or not B.size:
        return None
    X = np.zeros((k, max(m, n)), A.dtype)
    X[:, :m] = B.T
    rank = np.zeros(1, np.int64)
    free, limit = np.zeros(n, np.int64), np.array([rcond], A.dtype)
    if call_in("gelsy", A.dtype, m, n, k, by_columns(A)[0], m, X, max(m, n), free, limit, rank):
        return None
    return X[:, :n].T, int(rank[0])


# --- factorisations ---------------------------------------------------------------------------------------------------


@in_kinds(REAL)
def qr(A, mode):
    batch, (m, n) = A.shape[:-2], A.shape[-2:]
    k = min(m, n)
    wide = m if mode == "complete" else k
    memory = np.zeros((prod(batch), max(wide, n), m), A.dtype)
    memory[:, :n] = A.mT.reshape(-1, n, m)
    tau = np.empty(k, A.dtype)
    R = np.empty((len(memory), n, wide), A.dtype)
    for a, r in zip(memory, R, strict=True):
        if call_in("geqrf", A.dtype, m, n, a, m, tau):
            return None
        r[...] = np.tril(a[:n, :wide])
        if mode != "r" and call_in("orgqr", A.dtype, m, wide, k, a, m, tau):
            return None
    R = as_matrices(R, batch)
    return (np.zeros(0, A.dtype), R) if mode == "r" else (as_matrices(np.ascontiguousarray(memory[:, :wide]), batch), R)


@in_kinds(REAL)
def eigh(A, UPLO):
    if not np.isfinite(A).all():
        return None
    X, n = by_columns(A), A.shape[-1]
    values = np.empty((len(X), n), A.dtype)
    work, whole = np.empty(1 + 6 * n + 2 * n * n, A.dtype), np.empty(3 + 5 * n, np.int64)
    for x, v in zip(X, values, strict=True):
        if call("syevd", A.dtype, b"V", UPLO.upper().encode(), n, x, n, v, work, work.size, whole, whole.size):
            return None
    return values.reshape(*A.shape[:-2], n), as_matrices(X, A.shape[:-2])


@in_kinds(REAL)
def svd(A, full_matrices, vectors=True):
    """(U, S, Vh), or (None, S, None) without `vectors`."""
    if not np.isfinite(A).all():
        return None
    batch, (m, n) = A.shape[:-2], A.shape[-2:]
    k = min(m, n)
    X = by_columns(A)
    job, u, v = (b"A" if full_matrices else b"S", m if full_matrices else k, n if full_matrices else k)
    job, u, v = (job, u, v) if vectors else (b"N", 1, 1)
    U, S, Vh = np.empty((len(X), u, m), A.dtype), np.empty((len(X), k), A.dtype), np.empty((len(X), n, v), A.dtype)
    whole = np.empty(8 * k, np.int64)
    for x, left, values, right in zip(X, U, S, Vh, strict=True):
        if call_in("gesdd", A.dtype, job, m, n, x, m, values, left, m, right, v, after=(whole,)):
            return None
    S = S.reshape(*batch, k)
    return (as_matrices(U, batch), S, as_matrices(Vh, batch)) if vectors else (None, S, None)
