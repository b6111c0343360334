"""Linear algebra on batches of matrices: `torch.linalg` and its older names, each factorisation beside its derivative.

The derivatives are those of M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), extended to complex numbers and to rectangular matrices.
"""

import itertools
import math

import numpy as np

from wengert import dtypes
from wengert.kernels import decompositions as kernels
from wengert.kernels.decompositions import checked
from wengert.kernels.reductions import axis_of
from wengert.ops.arrangement import diag_embed
from wengert.ops.creation import eye
from wengert.ops.declare import composite, primitive, result_type
from wengert.ops.linalg import fitted, matmul
from wengert.ops.pointwise import conj, is_complex, select
from wengert.ops.products import in_best_order
from wengert.ops.reductions import norm_op, products_of_others, sum
from wengert.ops.shape import broadcast_shapes, cat, diagonal, narrow_to, reshape_to, tril, triu
from wengert.tensor import Tensor, wrap

INNER = {"function": False, "method": False}
LINALG = {"namespace": "linalg", "method": False}


def check(A, name, square=False):
    if not isinstance(A, Tensor):
        raise TypeError(f"{name.replace('.', '_')}(): argument 'A' (position 1) must be Tensor, not {type(A).__name__}")
    checked(A._array, name, square)
    return A


def H(x):
    return conj(x).mT


def column(x):
    """A vector, or batch of them, as columns to multiply rows with."""
    return reshape_to(x, (*x.shape, 1))


def row(x):
    return reshape_to(x, (*x.shape[:-1], 1, x.shape[-1]))


def by_columns(x):
    """A copy laid out column by column, as LAPACK leaves its results."""
    return x.mT.clone(memory_format=dtypes.contiguous_format).mT


def identity_like(A):
    """The unit matrix in the size and dtype of `A`."""
    return eye(A.shape[-1], dtype=A.dtype)


# --- inverses, determinants, solutions --------------------------------------------------------------------------------

inv = primitive("inv", kernels.inv, node="LinalgInvExBackward0", **LINALG, A=lambda g, out: -(out.mT @ g @ out.mT))
inv_ex = primitive(
    "inv_ex",
    kernels.inv_ex,
    outputs=("inverse", "info"),
    node="LinalgInvExBackward0",
    nodiff_outputs=("info",),
    **LINALG,
    holomorphic=False,
    A=lambda g, inverse: -(H(inverse) @ g @ H(inverse)),
)
inverse = composite(lambda input: inv(input), name="inverse")
det = primitive(
    "det",
    kernels.det,
    node="LinalgDetBackward0",
    **LINALG,
    A=lambda g, A, out: reshape_to(g, (*g.shape, 1, 1)) * cofactors(A, out),
)
composite(lambda input: det(input), name="det")


def cofactors(A, determinant):
    """det(A) A^-T, also where A is singular: then by the products of the other singular values."""
    if not has_zero(determinant):
        return reshape_to(determinant, (*determinant.shape, 1, 1)) * inv(A).mT
    U, S, Vh = svd_op(A, False)
    sign = det(U) * det(Vh)
    others = products_of_others(S, S.ndim - 1)
    return reshape_to(sign, (*sign.shape, 1, 1)) * ((conj(U) * row(others)) @ conj(Vh))


def has_zero(x):
    array = x._array if isinstance(x, Tensor) else x
    return bool((array == 0).any())


slogdet = primitive(
    "slogdet",
    kernels.slogdet,
    outputs=("sign", "logabsdet"),
    node="LinalgSlogdetBackward0",
    holomorphic=False,
    **LINALG,
    A=lambda g, g_logabsdet, A, sign: slogdet_gradient(g, g_logabsdet, A, sign),
)
slogdet_result = result_type("slogdet", ("sign", "logabsdet"))
composite(lambda input: slogdet_result(*slogdet(input)), name="slogdet")


def slogdet_gradient(g_sign, g_size, A, sign):
    factor = g_size
    if is_complex(A):
        factor = g_size - 1j * (conj(g_sign) * sign).imag
    return reshape_to(factor, (*factor.shape, 1, 1)) * H(inv(A))


@composite
def logdet(input):
    """The logarithm of the determinant; NaN where that is negative."""
    check(input, "logdet", square=True)
    sign, size = slogdet(input)
    if input.dtype.is_complex:
        return sign.log() + size
    return select(sign == -1, math.nan, size)


solve_op = primitive(
    "linalg_solve",
    kernels.solve,
    **INNER,
    tensors=("A", "B"),
    node="LinalgSolveExBackward0",
    A=lambda g, A, A_shape, out, left, vector: fitted(
        -outer_of(as_columns(solve_op(A.mT, g, left, vector), vector), as_columns(out, vector), left), A_shape
    ),
    B=lambda g, A, B_shape, left, vector: fitted(solve_op(A.mT, g, left, vector), B_shape),
)


def as_columns(x, vector):
    """Vectors as matrices of one column."""
    return reshape_to(x, (*x.shape, 1)) if vector else x


def outer_of(g, X, left):
    """What the gradient of B says of that of A: g X^T where A X = B, X^T g where X A = B."""
    return g @ X.mT if left else X.mT @ g


def same_kinds(A, B, name):
    if not isinstance(B, Tensor):
        raise TypeError(f"{name}(): argument 'B' (position 2) must be Tensor, not {type(B).__name__}")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {dtypes.SCALAR_NAMES[A.dtype]} "
            f"and B of type {dtypes.SCALAR_NAMES[B.dtype]} instead"
        )


@composite(**LINALG)
def solve(A, B, *, left=True):
    """X with A X = B (X A = B unless `left`), for matrices B or for vectors.

    Args:
        A: (..., n, n).
        B: (..., n, k), or vectors (n,) or (*batch, n) where the batch is that of A.
    Raises:
        LinAlgError: A is singular.
    """
    check(A, "linalg.solve", square=True)
    same_kinds(A, B, "linalg.solve")
    if B.ndim == 0:
        raise RuntimeError("linalg.solve: The tensor B must have at least 1 dimension.")
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])
    if vector and not left:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
            "linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    fits(A, B.unsqueeze(-1) if vector else B, left, "linalg.solve")
    return solve_op(A, B, left, vector)


def fits(A, B, left, name):
    if A.shape[-1] != B.shape[-2 if left else -1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )
    broadcast_shapes(A.shape[:-2], B.shape[:-2])


def results(name, *fields):
    return result_type(name, fields)


solve_ex_result = results("linalg_solve_ex", "result", "info")


@composite(**LINALG)
def solve_ex(A, B, *, left=True, check_errors=False):
    """`solve`, with a number that says whether A was singular instead of an error."""
    info = wrap(kernels.lu_factor(check(A, "linalg.solve_ex", square=True)._array)[2])
    if check_errors or not info._array.any():
        return solve_ex_result(solve(A, B, left=left), info)
    return solve_ex_result(B * math.nan, info)


triangular_op = primitive(
    "linalg_solve_triangular",
    kernels.solve_triangular,
    **INNER,
    node="LinalgSolveTriangularBackward0",
    A=lambda g, A, A_shape, out, upper, unitriangular, left: fitted(
        triangle_of(-outer_of(triangular_op(A.mT, g, not upper, unitriangular, left), out, left), upper, unitriangular),
        A_shape,
    ),
    B=lambda g, A, B_shape, upper, unitriangular, left: fitted(
        triangular_op(A.mT, g, not upper, unitriangular, left), B_shape
    ),
)


def triangle_of(x, upper, without_diagonal):
    return triu(x, 1 if without_diagonal else 0) if upper else tril(x, -1 if without_diagonal else 0)


@composite(**LINALG)
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """X with A X = B (X A = B unless `left`), A a triangular matrix, of which the other triangle isn't looked at."""
    check(A, "linalg.solve_triangular", square=True)
    same_kinds(A, B, "linalg.solve_triangular")
    check(B, "linalg.solve_triangular")
    fits(A, B, left, "linalg.solve_triangular")
    return triangular_op(A, B, upper, unitriangular, left)


triangular_result = results("triangular_solve", "solution", "cloned_coefficient")


@composite
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """(X, A) with A X = input, A triangular."""
    check(A, "triangular_solve", square=True)
    matrix = A.mT if transpose else A
    return triangular_result(
        solve_triangular(matrix, input, upper=upper != transpose, unitriangular=unitriangular), by_columns(A)
    )


pinv_op = primitive(
    "linalg_pinv",
    kernels.pinv,
    tensors=("A",),
    **INNER,
    node="LinalgPinvBackward0",
    holomorphic=False,
    A=lambda g, A, out: pinv_gradient(g, A, out),
)


def pinv_gradient(g, A, P):
    """Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems" (1973)."""
    Ph, gh = H(P), H(g)
    if A.shape[-2] <= A.shape[-1]:
        K = gh @ P
        KPh = K @ Ph
        return KPh - H(P @ K) - (A @ P) @ KPh + (Ph @ P) @ (gh - K @ A)
    K = P @ gh
    PhK = Ph @ K
    return PhK - H(K @ P) + ((gh - A @ K) @ P) @ Ph - (PhK @ P) @ A


def tolerance_of(value):
    return value._array if isinstance(value, Tensor) else value


@composite(**LINALG)
def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """The pseudo-inverse (Moore-Penrose): singular values up to max(atol, rtol * the largest) count as 0."""
    check(A, "linalg.pinv", square=hermitian)
    rtol = rcond if rtol is None else rtol
    return pinv_op(A, tolerance_of(rtol), tolerance_of(atol), hermitian)


@composite
def pinverse(input, rcond=1e-15):
    """The pseudo-inverse; singular values up to rcond times the largest count as 0."""
    check(input, "linalg.pinv")
    return pinv_op(input, rcond, None, False)


lstsq_op = primitive(
    "linalg_lstsq",
    kernels.lstsq,
    outputs=("solution", "residuals", "rank", "singular_values"),
    nodiff_outputs=("residuals", "rank", "singular_values"),
    **INNER,
    node="LinalgLstsqBackward0",
    holomorphic=False,
    A=lambda g, A, A_shape, B: fitted(pinv_gradient(g @ H(B), A, pinv_op(A, None, None, False)), A_shape),
    B=lambda g, A, B_shape: fitted(H(pinv_op(A, None, None, False)) @ g, B_shape),
)
DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@composite(**LINALG)
def lstsq(A, B, rcond=None, *, driver=None):
    """X that minimises the length of A X - B.

    Args:
        driver: "gelsy" (default), "gels", "gelsd" or "gelss": which of the other results come with it.
    Returns:
        (solution, residuals, rank, singular_values).
    """
    check(A, "linalg.lstsq")
    if driver is not None and driver not in DRIVERS:
        raise RuntimeError(
            f"torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got {driver}"
        )
    same_kinds(A, B, "torch.linalg.lstsq")
    if B.ndim < 1:
        raise RuntimeError("torch.linalg.lstsq: input `other` must have at least 1 dim")
    vector = A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]
    rhs = B.unsqueeze(-1) if vector else B
    if rhs.ndim < 2 or A.shape[-2] != rhs.shape[-2]:
        raise RuntimeError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)")
    solution, residuals, *rest = result = lstsq_op(A, rhs, rcond, driver or "gelsy")
    if residuals.numel() and solution.requires_grad:
        residuals = (A @ solution - rhs).abs().square().sum(-2)
    return type(result)(solution.squeeze(-1) if vector else solution, residuals, *rest)


@composite(**LINALG)
def tensorinv(A, ind=2):
    """The inverse of `A` as a linear map from its last dimensions to its first `ind`."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    left, right = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(left) != math.prod(right):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{math.prod(right)} != {math.prod(left)}"
        )
    return inv(A.reshape(math.prod(left), -1)).reshape(right + left)


@composite(**LINALG)
def tensorsolve(A, B, dims=None):
    """X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = tuple(A.shape[B.ndim :])
    if math.prod(shape) != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim])"
            f", but got {math.prod(shape)} != {B.numel()}"
        )
    return solve(A.reshape(math.prod(shape), -1) if shape else A.reshape(1, 1), B.reshape(-1)).reshape(shape)


# --- LU ---------------------------------------------------------------------------------------------------------------

lu_op = primitive(
    "linalg_lu_factor_ex",
    kernels.lu_factor,
    outputs=("LU", "pivots", "info"),
    nodiff_outputs=("pivots", "info"),
    **INNER,
    node="LinalgLuFactorExBackward0",
    holomorphic=False,
    A=lambda g, LU, pivots: lu_gradient(g, LU, pivots),
)
permutation_of = primitive("lu_permutation", kernels.permutation, tensors=("pivots",), **INNER)


def lu_gradient(g, LU, pivots):
    """With P L U = A: P L^-H (strict tril(L^H gL) + triu(gU U^H)) U^-H, for the square part, and what the rest adds."""
    m, n = LU.shape[-2:]
    k = min(m, n)
    square = narrow_to(narrow_to(LU, -2, 0, k), -1, 0, k)
    Lh, Uh = H(square), H(square)  # unit lower triangle transposed: upper; the solver looks at one triangle only
    L = unit_lower(square)
    U = triu(square)
    g1 = narrow_to(narrow_to(g, -2, 0, k), -1, 0, k)
    lower, upper = H(L) @ tril(g1, -1), triu(g1) @ H(U)
    if n > m:
        g2, U2 = narrow_to(g, -1, k, n - k), narrow_to(LU, -1, k, n - k)
        lower = lower - g2 @ H(U2)
    if m > n:
        g2, L2 = narrow_to(g, -2, k, m - k), narrow_to(LU, -2, k, m - k)
        upper = upper - H(L2) @ g2
    inner = tril(lower, -1) + triu(upper)
    top = triangular_op(Lh, right_solved(inner, Uh), True, True)
    if n > m:
        top = cat([top, triangular_op(Lh, g2, True, True)], -1)
    if m > n:
        top = cat([top, right_solved(g2, Uh)], -2)
    return as_dtype(permutation_of(pivots, m), top) @ top


def as_dtype(matrix, like):
    return matrix + 0 * like[..., :1, :1] if is_complex(like) or like.dtype != matrix.dtype else matrix


def right_solved(B, lower):
    """X with X lower = B."""
    return triangular_op(lower.mT, B.mT, True, False).mT


def unit_lower(LU):
    return tril(LU, -1) + diag_embed(diagonal(LU, 0, -2, -1) * 0 + 1)


lu_factor_result = results("linalg_lu_factor", "LU", "pivots")
lu_factor_ex_result = results("linalg_lu_factor_ex", "LU", "pivots", "info")
lu_result = results("linalg_lu", "P", "L", "U")


def refuse_no_pivot(pivot, name):
    if not pivot:
        raise RuntimeError(f"{name}: LU without pivoting is not implemented on the CPU")


@composite(**LINALG)
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """(L and U in one matrix, pivots, info) with partial pivoting; info is the number of a pivot that is 0."""
    refuse_no_pivot(pivot, "linalg.lu_factor")
    LU, pivots, info = lu_op(check(A, "torch.linalg.lu_factor_ex"))
    if check_errors and info._array.any():
        kernels.failed(
            "torch.linalg.lu_factor_ex",
            info._array,
            "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero.",
        )
    return lu_factor_ex_result(LU, pivots, info)


@composite(**LINALG)
def lu_factor(A, *, pivot=True):
    """(L and U in one matrix, pivots) with partial pivoting."""
    refuse_no_pivot(pivot, "linalg.lu_factor")
    LU, pivots, info = lu_op(check(A, "torch.linalg.lu_factor"))
    if info._array.any():
        kernels.failed(
            "torch.linalg.lu_factor",
            info._array,
            "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. "
            "If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)",
        )
    return lu_factor_result(LU, pivots)


@composite(method=False)
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """(P, L, U) from the result of `lu_factor`."""
    if LU_pivots.dtype is not dtypes.int32 and unpack_pivots:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    nothing = wrap(np.zeros(0, LU_data.dtype.numpy), LU_data.dtype)
    P, L, U = nothing, nothing, nothing
    if unpack_pivots:
        P = permutation_of(LU_pivots, m)
        P = P if P.dtype is LU_data.dtype else P.to(LU_data.dtype)
    if unpack_data:
        left = narrow_to(LU_data, -1, 0, k)
        ones = wrap(np.eye(m, k, dtype=LU_data.dtype.numpy), LU_data.dtype)
        L = tril(left, -1) + ones
        U = triu(narrow_to(LU_data, -2, 0, k))
    return lu_unpack_result(P, L, U)


lu_unpack_result = results("lu_unpack", "P", "L", "U")


def linalg_lu(A, *, pivot=True):
    """(P, L, U) with A = P L U: a permutation, a unit lower and an upper triangular matrix."""
    refuse_no_pivot(pivot, "linalg.lu")
    LU, pivots, _ = lu_op(check(A, "linalg.lu"))
    return lu_result(*lu_unpack(LU, pivots))


composite(linalg_lu, name="lu", **LINALG)


@composite
def lu(A, pivot=True, get_infos=False):
    """`linalg.lu_factor` with what was once its name."""
    refuse_no_pivot(pivot, "lu")
    LU, pivots, info = lu_op(check(A, "lu"))
    return lu_with_info(LU, pivots, info) if get_infos else (LU, pivots)


lu_with_info = results("_lu_with_info", "LU", "pivots", "info")


def linalg_lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """X with A X = B, given `lu_factor` of A (X A = B unless `left`; A^H for A with `adjoint`)."""
    check(LU, "torch.linalg.lu_solve", square=True)
    if pivots.dtype is not dtypes.int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    if LU.dtype is not B.dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type {LU.dtype} and B of "
            f"type {B.dtype} instead"
        )
    if not left:
        return H(linalg_lu_solve(LU, pivots, H(B), adjoint=not adjoint))
    fits(LU, B, True, "linalg.lu_solve")
    P = permutation_of(pivots, LU.shape[-1])
    P = P if P.dtype is LU.dtype else P.to(LU.dtype)
    if adjoint:
        half = triangular_op(H(LU), B, False, False)
        return by_columns(P @ triangular_op(H(LU), half, True, True))
    return triangular_op(LU, triangular_op(LU, P.mT @ B, False, True), True, False)


composite(linalg_lu_solve, name="lu_solve", **LINALG)
lu_solve = composite(lambda input, LU_data, LU_pivots: linalg_lu_solve(LU_data, LU_pivots, input), name="lu_solve")

# --- LDL ---------------------------------------------------------------------------------------------------------

ldl_result = results("linalg_ldl_factor", "LD", "pivots")
ldl_ex_result = results("linalg_ldl_factor_ex", "LD", "pivots", "info")
ldl_solve_op = primitive(
    "linalg_ldl_solve",
    kernels.ldl_solve,
    tensors=("LD", "pivots", "B"),
    **INNER,
    holomorphic=False,
    B=lambda g, LD, pivots, B_shape, hermitian: fitted(ldl_adjoint(g, LD, pivots, hermitian), B_shape),
)


def ldl_adjoint(g, LD, pivots, hermitian):
    """The adjoint of a Hermitian matrix is itself; that of a symmetric one is its conjugate."""
    return ldl_solve_op(LD, pivots, g, True) if hermitian else conj(ldl_solve_op(LD, pivots, conj(g), False))


@composite(**LINALG)
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """(L and D in one matrix, pivots, info) of a symmetric, or Hermitian, matrix; without derivative. Needs SciPy."""
    check(A, "torch.linalg.ldl_factor_ex", square=True)
    if A.requires_grad:
        raise NotImplementedError("the derivative for 'linalg_ldl_factor_ex' is not implemented")
    LD, pivots, info = kernels.ldl_factor(A._array, hermitian)
    if check_errors and info.any():
        kernels.failed("torch.linalg.ldl_factor_ex", info, "D[{0},{0}] is zero.")
    return ldl_ex_result(wrap(LD), wrap(pivots), wrap(info))


@composite(**LINALG)
def ldl_factor(A, *, hermitian=False):
    """`ldl_factor_ex` without the number that says whether it worked."""
    return ldl_result(*ldl_factor_ex(A, hermitian=hermitian, check_errors=True)[:2])


@composite(**LINALG)
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """X with A X = B, given `ldl_factor` of A. Needs SciPy."""
    check(LD, "torch.linalg.ldl_solve", square=True)
    same_kinds(LD, B, "torch.linalg.ldl_solve")
    if B.ndim < 2:
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Expected B to have at least 2 dimensions, but it has {B.ndim} dimensions instead"
        )
    fits(LD, B, True, "torch.linalg.ldl_solve")
    return ldl_solve_op(LD, pivots, B, hermitian)


# --- Cholesky ---------------------------------------------------------------------------------------------------------

cholesky_op = primitive(
    "linalg_cholesky_ex",
    kernels.cholesky,
    **INNER,
    node="LinalgCholeskyExBackward0",
    holomorphic=False,
    A=lambda g, out, upper: cholesky_gradient(H(g), H(out)) if upper else cholesky_gradient(g, out),
)


def cholesky_gradient(g, L):
    """L^-H P L^-1, where P is Hermitian, its lower triangle half of that of L^H g."""
    X = tril(H(L) @ g)
    half = triangular_op(H(L), 0.5 * (X + H(tril(X, -1))), True, False)
    return H(triangular_op(H(L), H(half), True, False))


def linalg_cholesky(A, *, upper=False):
    """The triangular L with A = L L^H (U with A = U^H U if `upper`).

    Raises:
        LinAlgError: A is not positive definite.
    """
    return cholesky_op(check(A, "linalg.cholesky", square=True), upper)


composite(linalg_cholesky, name="cholesky", **LINALG)
cholesky = composite(lambda input, upper=False: linalg_cholesky(input, upper=upper), name="cholesky")
cholesky_ex_result = results("linalg_cholesky_ex", "L", "info")


@composite(**LINALG)
def cholesky_ex(A, *, upper=False, check_errors=False):
    """(L, info): info is 0, or the order of the leading minor that isn't positive definite."""
    check(A, "linalg.cholesky_ex", square=True)
    L, info = kernels.cholesky_or_info(A._array, upper, check_errors)
    if not info.any():
        return cholesky_ex_result(cholesky_op(A, upper), wrap(info))
    return cholesky_ex_result(wrap(np.ascontiguousarray(L)), wrap(info))


cholesky_solve_op = primitive(
    "cholesky_solve",
    kernels.cholesky_solve,
    **INNER,
    holomorphic=False,
    input=lambda g, input_shape, L, upper: fitted(cholesky_solve_op(g, L, upper), input_shape),
    L=lambda g, L, L_shape, out, upper: fitted(factor_pull(cholesky_solve_op(g, L, upper) @ H(out), L, upper), L_shape),
)
cholesky_inverse_op = primitive(
    "cholesky_inverse",
    kernels.cholesky_inverse,
    **INNER,
    holomorphic=False,
    input=lambda g, input, out, upper: factor_pull(out @ g @ out, input, upper),
)


def factor_pull(inner, L, upper):
    """What a Cholesky factor gets, given what the inverse of its product gets."""
    both = inner + H(inner)
    return -(L @ both) if upper else -(both @ L)


@composite
def cholesky_solve(input, L, upper=False):
    """X with A X = input, given the Cholesky factor of A."""
    if input.ndim < 2:
        raise RuntimeError(f"b should have at least 2 dimensions, but has {input.ndim} dimensions instead")
    if L.ndim < 2:
        raise RuntimeError(f"u should have at least 2 dimensions, but has {L.ndim} dimensions instead")
    check(L, "cholesky_solve", square=True)
    fits(L, input, True, "cholesky_solve")
    return cholesky_solve_op(input, L, upper)


@composite
def cholesky_inverse(input, upper=False):
    """The inverse of A, given its Cholesky factor."""
    return cholesky_inverse_op(check(input, "cholesky_inverse", square=True), upper)


# --- QR ---------------------------------------------------------------------------------------------------------------

qr_op = primitive(
    "linalg_qr",
    kernels.qr,
    outputs=("Q", "R"),
    **INNER,
    node="LinalgQrBackward0",
    holomorphic=False,
    A=lambda g, g_R, Q, R, mode: qr_gradient(g, g_R, Q, R, mode),
)


def qr_gradient(gQ, gR, Q, R, mode):
    """(gQ + Q sym(triu(gR R^H - Q^H gQ))) R^-H; the columns beyond the square of a wide matrix are Q^H A."""
    m, n = R.shape[-2], R.shape[-1]
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
            "mode='reduced') "
            "if you are going to require gradients."
        )
    if mode == "complete" and m > n:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    if n > m:
        R2, gR2 = narrow_to(R, -1, m, n - m), narrow_to(gR, -1, m, n - m)
        first = square_qr_gradient(gQ + (Q @ R2) @ H(gR2), narrow_to(gR, -1, 0, m), Q, narrow_to(R, -1, 0, m))
        return cat([first, Q @ gR2], -1)
    return square_qr_gradient(gQ, gR, Q, R)


def square_qr_gradient(gQ, gR, Q, R):
    X = triu(gR @ H(R) - H(Q) @ gQ)
    on_diagonal = diagonal(X, 0, -2, -1)
    symmetric = X + H(X) - diag_embed((on_diagonal + conj(on_diagonal)) * 0.5)
    return right_solved(gQ + Q @ symmetric, H(R))


def linalg_qr(A, mode="reduced"):
    """(Q, R) with A = Q R, the columns of Q orthonormal and R upper triangular; `mode` "reduced", "complete" or "r"."""
    check(A, "linalg.qr")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    return qr_op(A, mode)


composite(linalg_qr, name="qr", **LINALG)
qr_result = result_type("qr", ("Q", "R"))
qr = composite(lambda input, some=True: qr_result(*linalg_qr(input, "reduced" if some else "complete")), name="qr")
geqrf = primitive("geqrf", kernels.geqrf, outputs=("a", "tau"), tensors=("input",))


@composite(**LINALG)
def householder_product(A, tau):
    """The first columns of the product of Householder reflections whose vectors are columns of A's lower triangle."""
    check(A, "torch.linalg.householder_product")
    m, n = A.shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if n < tau.shape[-1]:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if A.dtype is not tau.dtype:
        raise RuntimeError(
            f"torch.linalg.householder_product: tau dtype {tau.dtype} does not match input dtype {A.dtype}"
        )
    if A.ndim - tau.ndim != 1:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected tau to have one dimension less than input, but got tau.ndim "
            f"equal to {tau.ndim} and input.ndim is equal to {A.ndim}"
        )
    if A.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected batch dimensions of tau to be equal to input.shape[:-2], "
            f"but got {list(tau.shape[:-1])}"
        )
    return by_columns(narrow_to(reflections(A, tau), -1, 0, n))


def reflections(A, tau):
    """The whole product of the reflections 1 - tau v v^H."""
    m = A.shape[-2]
    vectors = tril(A, -1) + wrap(np.eye(*A.shape[-2:], dtype=A.dtype.numpy), A.dtype)
    Q = wrap(np.eye(m, dtype=A.dtype.numpy), A.dtype).expand(*A.shape[:-2], m, m)
    for i in range(tau.shape[-1]):
        v = narrow_to(vectors, -1, i, 1)
        scale = reshape_to(narrow_to(tau, -1, i, 1), (*tau.shape[:-1], 1, 1))
        Q = Q - scale * ((Q @ v) @ H(v))
    return Q


orgqr = composite(lambda input, tau: householder_product(input, tau), name="orgqr")


@composite
def ormqr(input, tau, other, left=True, transpose=False):
    """The product of `other` with the orthogonal matrix that `geqrf` gave."""
    check(input, "torch.ormqr")
    if input.dtype is not other.dtype or input.dtype is not tau.dtype:
        raise RuntimeError(
            f"torch.ormqr: Expected input and other to have the same dtype, but input has dtype {input.dtype} and "
            f"other has dtype {other.dtype}"
        )
    if other.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    if other.shape[-2 if left else -1] < tau.shape[-1]:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{-2 if left else -1}] must be greater than or equal to tau.shape[-1]"
        )
    if other.shape[-2 if left else -1] != input.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2]")
    if (
        input.ndim - tau.ndim != 1
        or input.ndim != other.ndim
        or input.shape[:-2] != tau.shape[:-1]
        or input.shape[:-2] != other.shape[:-2]
    ):
        raise RuntimeError("torch.ormqr: Expected batch dimensions of tau and other to be equal to input.shape[:-2]")
    Q = reflections(input, tau)
    Q = H(Q) if transpose else Q
    return by_columns(Q @ other if left else other @ Q)


# --- eigenvalues ------------------------------------------------------------------------------------------------------

eigh_op = primitive(
    "linalg_eigh",
    kernels.eigh,
    outputs=("eigenvalues", "eigenvectors"),
    **INNER,
    node="LinalgEighBackward0",
    holomorphic=False,
    A=lambda g, g_eigenvectors, eigenvalues, eigenvectors: eigh_gradient(g, g_eigenvectors, eigenvalues, eigenvectors),
)


def eigh_gradient(g_values, g_vectors, values, V):
    inner = quotient(H(V) @ g_vectors, row(values) - column(values))
    result = V @ (without_diagonal(inner) + diag_embed(g_values)) @ H(V)
    return (result + H(result)) * 0.5


def quotient(x, differences):
    """x / differences, and 0 where both are 0: equal values are no matter if nothing looks at their vectors."""
    return x / select((differences == 0) & (x == 0), 1, differences + without_zeros(differences))


def without_zeros(differences):
    """1 on the diagonal, where an eigenvalue meets itself, else 0."""
    return eye_of(differences)


def eye_of(x):
    n = x.shape[-1]
    unit = np.eye(n)
    return unit.astype(x.dtype) if isinstance(x, np.ndarray) else wrap(unit.astype(x.dtype.numpy), x.dtype)


def without_diagonal(x):
    return tril(x, -1) + triu(x, 1)


def linalg_eigh(A, UPLO="L"):
    """(eigenvalues, eigenvectors) of a Hermitian matrix, of which one triangle is looked at; the values ascend."""
    check(A, "linalg.eigh", square=True)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return eigh_op(A, UPLO.upper())


eigh = composite(linalg_eigh, name="eigh", **LINALG)
eigvalsh = composite(lambda A, UPLO="L": linalg_eigh(A, UPLO)[0], name="eigvalsh", **LINALG)
eig_op = primitive(
    "linalg_eig",
    kernels.eig,
    outputs=("eigenvalues", "eigenvectors"),
    **INNER,
    node="LinalgEigBackward0",
    holomorphic=False,
    A=lambda g, g_eigenvectors, A, eigenvalues, eigenvectors: real_if(
        eig_gradient(g, g_eigenvectors, eigenvalues, eigenvectors), A
    ),
)


def eig_gradient(g_values, g_vectors, values, V):
    Vh = H(V)
    inner = Vh @ g_vectors
    on_diagonal = diagonal(inner, 0, -2, -1)
    inner = inner - (Vh @ V) * row((on_diagonal + conj(on_diagonal)) * 0.5)
    inner = quotient(inner, conj(row(values) - column(values)))
    return solve_op(Vh, (without_diagonal(inner) + diag_embed(g_values)) @ Vh)


def real_if(x, like):
    return x if is_complex(like) else x.real


def linalg_eig(A):
    """(eigenvalues, eigenvectors) of a square matrix; always complex."""
    return eig_op(check(A, "linalg.eig", square=True))


composite(linalg_eig, name="eig", **LINALG)
eigvals = composite(lambda A: linalg_eig(A)[0], name="eigvals", **LINALG)

# --- singular values --------------------------------------------------------------------------------------------------

svd_op = primitive(
    "linalg_svd",
    kernels.svd,
    outputs=("U", "S", "Vh"),
    **INNER,
    node="LinalgSvdBackward0",
    holomorphic=False,
    A=lambda g, g_S, g_Vh, U, S, Vh: svd_gradient(g, g_S, g_Vh, U, S, Vh),
)


def svd_gradient(gU, gS, gVh, U, S, Vh):
    k = S.shape[-1]
    U, gU = narrow_to(U, -1, 0, k), narrow_to(gU, -1, 0, k)
    Vh, gVh = narrow_to(Vh, -2, 0, k), narrow_to(gVh, -2, 0, k)
    Uh, V, gV = H(U), H(Vh), H(gVh)
    UhgU, VhgV = Uh @ gU, Vh @ gV
    squares = S * S
    apart = row(squares) - column(squares)
    inner = quotient(UhgU - H(UhgU), apart) * row(S) + column(S) * quotient(VhgV - H(VhgV), apart)
    on_diagonal = gS
    if is_complex(U):
        turn = diagonal(UhgU, 0, -2, -1)
        on_diagonal = gS + (turn - conj(turn)) * 0.5 / S
    result = U @ (without_diagonal(inner) + diag_embed(on_diagonal)) @ Vh
    if U.shape[-2] > k:
        scaled = gU / row(S)
        result = result + (scaled - U @ (Uh @ scaled)) @ Vh
    if V.shape[-2] > k:
        scaled = gVh / column(S)
        result = result + U @ (scaled - (scaled @ V) @ Vh)
    return result


svdvals_op = primitive(
    "linalg_svdvals",
    kernels.svdvals,
    **INNER,
    node="LinalgSvdBackward0",
    holomorphic=False,
    A=lambda g, A: svdvals_gradient(g, A),
)


def svdvals_gradient(g, A):
    U, _, Vh = svd_op(A, False)
    return (U * row(g)) @ Vh


def linalg_svd(A, full_matrices=True, *, driver=None):
    """(U, S, Vh) with A = U diag(S) Vh: U and Vh unitary, the singular values S descending."""
    check(A, "linalg.svd")
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    return svd_op(A, full_matrices)


def linalg_svdvals(A, *, driver=None):
    """The singular values, descending."""
    check(A, "linalg.svdvals")
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    return svdvals_op(A)


composite(linalg_svd, name="svd", **LINALG)
svdvals = composite(linalg_svdvals, name="svdvals", **LINALG)
svd_result = results("svd", "U", "S", "V")


@composite
def svd(input, some=True, compute_uv=True):
    """(U, S, V) with input = U diag(S) V^H."""
    check(input, "linalg.svd")
    if not compute_uv:
        m, n = input.shape[-2:]
        empty = [wrap(np.zeros((*input.shape[:-2], k, k), input.dtype.numpy), input.dtype) for k in (m, n)]
        return svd_result(empty[0], svdvals_op(input), empty[1])
    U, S, Vh = svd_op(input, not some)
    return svd_result(U, S, H(Vh))


@composite(method=False)
def svd_lowrank(A, q=6, niter=2, M=None):
    """(U, S, V) of rank `q` by a randomised range finder: Halko, Martinsson and Tropp, SIAM Review 53 (2011)."""
    from wengert.ops.random import randn

    A = A if M is None else A - M
    wide = A.shape[-2] < A.shape[-1]
    A = H(A) if wide else A
    test = randn(A.shape[-1], q, dtype=A.dtype)
    Q = linalg_qr(A @ test)[0]
    for _ in range(niter):
        Q = linalg_qr(H(A) @ Q)[0]
        Q = linalg_qr(A @ Q)[0]
    U, S, Vh = svd_op(H(Q) @ A, False)
    U, V = Q @ U, H(Vh)
    return (V, S, U) if wide else (U, S, V)


@composite(method=False)
def pca_lowrank(A, q=None, center=True, niter=2):
    """(U, S, V) of rank `q` of the matrix, its columns centred first: principal components are the columns of V."""
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


# --- powers, products -------------------------------------------------------------------------------------------------

exp_op = primitive(
    "linalg_matrix_exp", kernels.matrix_exp, **INNER, node="LinalgMatrixExpBackward0", A=lambda g, A: exp_gradient(g, A)
)


def exp_gradient(g, A):
    """The upper right block of exp of [[A^T, g], [0, A^T]]: Al-Mohy and Higham, SIMAX 30 (2009)."""
    n = A.shape[-1]
    At = A.mT
    both = cat([cat([At, g], -1), cat([At * 0, At], -1)], -2)
    return narrow_to(narrow_to(exp_op(both), -2, 0, n), -1, n, n)


def linalg_matrix_exp(A):
    """The sum of A^k / k! over all k."""
    if A.dtype.category < 2:
        raise RuntimeError(
            "linalg.matrix_exp: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.SCALAR_NAMES[A.dtype]}"
        )
    if A.ndim < 2:
        raise RuntimeError("linalg.matrix_exp: The input tensor A must have at least 2 dimensions.")
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_exp: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} "
            "matrices"
        )
    return exp_op(A)


composite(linalg_matrix_exp, name="matrix_exp", **LINALG)
matrix_exp = composite(lambda input: linalg_matrix_exp(input), name="matrix_exp")


def linalg_matrix_power(A, n):
    """A multiplied by itself `n` times; the inverse for negative `n`."""
    if A.ndim < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} "
            "matrices"
        )
    if n == 0:
        return A * 0 + identity_like(A)
    if n < 0:
        A, n = inv(A), -n
    result = None
    while n:
        if n & 1:
            result = A if result is None else result @ A
        n >>= 1
        A = A @ A if n else A
    return result.clone() if result is A else result


composite(linalg_matrix_power, name="matrix_power", **LINALG)
matrix_power = composite(lambda input, n: linalg_matrix_power(input, n), name="matrix_power")


@composite(**LINALG)
def multi_dot(tensors):
    """The product of matrices (the first and last may be vectors), in the cheapest order."""
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for i, x in enumerate(tensors):
        ends = i in (0, len(tensors) - 1)
        if x.ndim != 2 and not (ends and x.ndim == 1):
            raise RuntimeError(f"multi_dot(): tensor {i} must be {'1D or 2D' if ends else '2D'} but got {x.ndim}D")
        if x.dtype is not tensors[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {tensors[0].dtype} and tensor "
                f"{i} {x.dtype}"
            )
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if first:
        tensors[0] = tensors[0].unsqueeze(0)
    if last:
        tensors[-1] = tensors[-1].unsqueeze(-1)
    for i, (x, y) in enumerate(itertools.pairwise(tensors)):
        if x.shape[-1] != y.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(x.shape)} and {list(y.shape)} cannot be "
                "multiplied"
            )
    result = in_best_order(tensors)
    result = result.squeeze(0) if first else result
    return result.squeeze(-1) if last else result


composite(lambda input, other: matmul(input, other), name="matmul", **LINALG)

# --- norms ------------------------------------------------------------------------------------------------------------


def norm_dtype(x, dtype, name):
    if dtype is not None:
        if not dtype.differentiable:
            raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {dtype}")
        if x.dtype.is_complex and not dtype.is_complex:
            raise RuntimeError(f"{name}: dtype should be complex for complex inputs, but got {dtype}")
        if not x.dtype.is_complex and dtype.is_complex:
            raise RuntimeError(f"{name}: dtype should be real for real inputs, but got {dtype}")
        return x.to(dtype)
    if not x.dtype.differentiable:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {dtypes.SCALAR_NAMES[x.dtype]}"
        )
    return x


@composite(**LINALG)
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|^ord)^(1/ord) over `dim`, or over all elements."""
    x = norm_dtype(x, dtype, "linalg.vector_norm")
    dims = (dim,) if isinstance(dim, int) else dim
    if isinstance(ord, str):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' (position 2) must be Number, not {type(ord).__name__}")
    if (ord < 0 or ord == math.inf) and x.ndim:
        for d in dims or range(x.ndim):
            if x.shape[axis_of(d, x.ndim)] == 0:
                raise RuntimeError(
                    f"linalg.vector_norm cannot compute the {float(ord)} norm on the dimension {d} because this "
                    "dimension is empty and the operation does not have an identity"
                )
    return norm_op(x, ord, None if dims is None or not len(dims) else tuple(dims), keepdim)


@composite(**LINALG)
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """A norm of the matrices in the dimensions `dim`: "fro", "nuc", inf, -inf, 1, -1, 2 or -2."""
    if A.ndim < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    A = norm_dtype(A, dtype, "linalg.matrix_norm")
    dim = tuple(dim) if not isinstance(dim, int) else (dim,)
    if len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    first, second = (axis_of(d, A.ndim) for d in dim)
    if first == second:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return norm_op(A, 2, (first, second), keepdim)
    if ord in ("nuc", 2, -2):
        checked(A._array, "linalg.matrix_norm")
        if not A.numel() and ord != "nuc":
            return empty_norm(A, first, second, keepdim, ord)
        values = svdvals_op(A.movedim((first, second), (-2, -1)))
        result = sum(values, -1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
        if keepdim:
            for d in sorted((first, second)):
                result = result.unsqueeze(d)
        return result
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    along, across = (first, second) if abs(ord) == 1 else (second, first)
    if not A.shape[across]:
        return empty_norm(A, first, second, keepdim, ord)
    sums = norm_op(A, 1, along, True)
    result = sums.amax(across, True) if ord > 0 else sums.amin(across, True)
    if keepdim:
        return result
    for d in sorted((first, second), reverse=True):
        result = result.squeeze(d)
    return result


def empty_norm(A, first, second, keepdim, ord):
    """The norm of matrices without elements: 0, where the maximum is taken over no sums."""
    if ord < 0:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} has no value for matrices without elements.")
    return sum(A.abs(), (first, second), keepdim)


@composite(**LINALG)
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector or matrix norm: of vectors along one `dim` (or of all elements), of matrices along two."""
    if dim is not None and not isinstance(dim, int) and len(dim) not in (1, 2) and ord is not None:
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}")
    if ord is not None and dim is None and A.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
        )
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if (
        isinstance(ord, str)
        or (dim is None and A.ndim == 2)
        or (dim is not None and not isinstance(dim, int) and len(dim) == 2)
    ):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


@composite(**LINALG)
def cond(A, p=None):
    """The condition number: the norm of A times that of its inverse (inf where there is none)."""
    if A.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor A must have at least 2 dimensions.")
    if p in (None, 2, -2):
        values = svdvals(A)
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    check(A, "linalg.cond", square=True)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond: Expected str p to be 'fro' or 'nuc', but got {p}")
    if not isinstance(p, str) and abs(p) not in (1, math.inf):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not A.numel():
        return wrap(np.zeros(A.shape[:-2], kernels.real_of(A._array.dtype)))
    inverse, info = inv_ex(A)
    result = matrix_norm(A, p) * matrix_norm(inverse, p)
    return select(wrap(np.asarray(info._array == 0)), result, math.inf) if info._array.any() else result


@composite(**LINALG)
def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None):
    """How many singular values (absolute eigenvalues if `hermitian`) exceed max(atol, rtol * the largest)."""
    check(A, "linalg.matrix_rank", square=hermitian)
    array = A._array
    values = np.abs(np.linalg.eigvalsh(array)) if hermitian else kernels.svdvals(array)
    if tol is not None:
        limit = np.asarray(tolerance_of(tol))[..., None]
    else:
        limit = kernels.tolerance(values, array, tolerance_of(rtol), tolerance_of(atol))
    return wrap(np.asarray((values > limit).sum(-1)))


@composite(method=False)
def frobenius_norm(input, dim=(), keepdim=False):
    """The square root of the sum of squares over `dim`, or over all elements."""
    return norm_op(
        input,
        2,
        tuple(dim) if not isinstance(dim, int) and len(dim) else dim if isinstance(dim, int) else None,
        keepdim,
    )


@composite(method=False)
def nuclear_norm(input, dim=(-2, -1), keepdim=False):
    """The sum of the singular values."""
    return matrix_norm(input, "nuc", dim, keepdim)
