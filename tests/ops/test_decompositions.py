"""Linear algebra: factors multiply to what was given, derivatives agree with finite differences, refusals."""

import numpy as np
import pytest

import wengert
from wengert import linalg
from wengert.autograd import gradcheck, gradgradcheck


def matrices(*shape, complex=False, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(shape)
    return wengert.tensor(a + 1j * rng.standard_normal(shape) if complex else a)


def definite(n, complex=False, batch=()):
    a = matrices(*batch, n, n, complex=complex)
    return a @ a.mH + n * wengert.eye(n, dtype=a.dtype)


def close(a, b, atol=1e-10):
    np.testing.assert_allclose(a.numpy(), b.numpy() if isinstance(b, wengert.Tensor) else b, atol=atol)


BOTH = pytest.mark.parametrize("complex", [False, True])
SHAPES = pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])


@BOTH
@SHAPES
def test_factors_multiply_to_the_matrix(shape, complex):
    A = matrices(*shape, complex=complex)
    Q, R = linalg.qr(A)
    close(Q @ R, A)
    close(Q.mH @ Q, np.broadcast_to(np.eye(min(shape[-2:])), (*shape[:-2], *[min(shape[-2:])] * 2)))
    U, S, Vh = linalg.svd(A, full_matrices=False)
    close((U * S.unsqueeze(-2)) @ Vh, A)
    P, L, U = linalg.lu(A)
    close(P @ L @ U, A)
    assert L.diagonal(0, -2, -1).real.allclose(wengert.ones(min(shape[-2:]), dtype=wengert.float64))


def test_lu_goes_on_in_panels():
    A = matrices(130, 120)
    P, L, U = linalg.lu(A)
    close(P @ L @ U, A)
    assert L.abs().max() <= 1


@BOTH
def test_square_factorisations(complex):
    A = definite(4, complex, (2,))
    close(linalg.cholesky(A) @ linalg.cholesky(A).mH, A)
    close(linalg.cholesky(A, upper=True).mH @ linalg.cholesky(A, upper=True), A)
    values, vectors = linalg.eigh(A)
    close((vectors * values.unsqueeze(-2)) @ vectors.mH, A)
    B = matrices(4, 4, complex=complex)
    values, vectors = linalg.eig(B)
    close(B.to(wengert.complex128) @ vectors, vectors * values)


@BOTH
def test_solutions(complex):
    A, B, b = matrices(2, 4, 4, complex=complex), matrices(2, 4, 3, complex=complex), matrices(2, 4, complex=complex)
    close(A @ linalg.solve(A, B), B)
    close(linalg.solve(A, B.mT, left=False) @ A, B.mT)
    close((A @ linalg.solve(A, b).unsqueeze(-1)).squeeze(-1), b)
    LU, pivots = linalg.lu_factor(A)
    close(A @ linalg.lu_solve(LU, pivots, B), B)
    close(A.mH @ linalg.lu_solve(LU, pivots, B, adjoint=True), B)
    close(linalg.lu_solve(LU, pivots, B.mT, left=False) @ A, B.mT)
    T = A.triu()
    close(T @ linalg.solve_triangular(A, B, upper=True), B)
    close(linalg.solve_triangular(A.mT, B.mT, upper=False, left=False) @ T.mT, B.mT)
    D = definite(4, complex)
    close(D @ wengert.cholesky_solve(B, linalg.cholesky(D)), B)
    close(D @ wengert.cholesky_inverse(linalg.cholesky(D)), np.eye(4))
    close(A @ linalg.inv(A), np.broadcast_to(np.eye(4), (2, 4, 4)))


@SHAPES
def test_pseudo_inverses_and_least_squares(shape):
    A = matrices(*shape)
    B = matrices(*shape[:-1], 2, seed=1)
    close(linalg.pinv(A), np.linalg.pinv(A.numpy()))
    solution = linalg.lstsq(A, B).solution
    close(solution, np.linalg.pinv(A.numpy()) @ B.numpy())
    assert linalg.matrix_rank(A).tolist() == np.linalg.matrix_rank(A.numpy()).tolist()


def test_determinants():
    A = matrices(3, 4, 4)
    close(linalg.det(A), np.linalg.det(A.numpy()))
    sign, size = linalg.slogdet(A)
    close(sign * size.exp(), np.linalg.det(A.numpy()))
    assert wengert.logdet(wengert.tensor([[-1.0]])).isnan()


DERIVATIVES = {
    "inv": linalg.inv,
    "det": linalg.det,
    "slogdet": lambda A: linalg.slogdet(A)[1],
    "solve": lambda A: linalg.solve(A, A.mT),
    "qr": lambda A: linalg.qr(A),
    "lu": lambda A: linalg.lu(A)[1:],
    "matrix_exp": linalg.matrix_exp,
    "matrix_power": lambda A: linalg.matrix_power(A, -3),
    "pinv": linalg.pinv,
    "svdvals": linalg.svdvals,
    "nuclear": lambda A: linalg.matrix_norm(A, "nuc"),
    "cond": lambda A: linalg.cond(A, 1),
    "lstsq": lambda A: linalg.lstsq(A, A.mT).solution,
    "solve_triangular": lambda A: linalg.solve_triangular(A, A, upper=False),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name):
    A = matrices(3, 3).add(wengert.eye(3) * 2).requires_grad_()
    assert gradcheck(DERIVATIVES[name], [A])
    assert gradgradcheck(DERIVATIVES[name], [A])


@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
@pytest.mark.parametrize("function", [linalg.qr, lambda A: linalg.lu(A)[1:], linalg.pinv, linalg.svdvals])
def test_derivatives_of_rectangles(function, shape):
    assert gradcheck(function, [matrices(*shape).requires_grad_()])


@BOTH
def test_derivatives_of_hermitian_matrices(complex):
    A = matrices(3, 3, complex=complex).requires_grad_()

    def hermitian(A):
        return A @ A.mH + 3 * wengert.eye(3, dtype=A.dtype)

    assert gradcheck(lambda A: linalg.cholesky(hermitian(A)), [A])
    assert gradcheck(lambda A: linalg.eigvalsh(hermitian(A)), [A])
    assert gradcheck(lambda A: linalg.eigh(hermitian(A))[1].abs(), [A])
    assert gradcheck(lambda A: [x.abs() for x in linalg.svd(A, full_matrices=False)], [A])
    assert gradcheck(lambda A: linalg.eig(A)[1].abs(), [A])


def test_the_gradient_of_the_determinant_of_a_singular_matrix_is_its_cofactors():
    A = wengert.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=wengert.float64, requires_grad=True)
    linalg.det(A).backward()
    close(A.grad, [[4, -2], [-2, 1]])


def test_equal_eigenvalues_do_not_spoil_the_gradient_of_their_sum():
    A = wengert.eye(3, dtype=wengert.float64, requires_grad=True)
    linalg.eigh(A)[0].sum().backward()
    close(A.grad, np.eye(3))


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")])
def test_norms_of_matrices(ord):
    A = matrices(3, 4)
    close(linalg.matrix_norm(A, ord), np.linalg.norm(A.numpy(), ord))
    close(linalg.norm(A, ord), np.linalg.norm(A.numpy(), ord))
    assert linalg.matrix_norm(matrices(2, 3, 4), ord, keepdim=True).shape == (2, 1, 1)


@pytest.mark.parametrize("ord", [0, 0.5, 1, 2, 3, float("inf"), -float("inf")])
def test_norms_of_vectors(ord):
    x = matrices(5)
    close(linalg.vector_norm(x, ord), np.linalg.norm(x.numpy(), ord))


def test_the_exponential_of_large_and_nilpotent_matrices():
    close(linalg.matrix_exp(wengert.tensor([[0.0, 1.0], [0.0, 0.0]])), [[1, 1], [0, 1]], 1e-6)
    A = wengert.tensor([[30.0, 0.0], [0.0, -30.0]], dtype=wengert.float64)
    np.testing.assert_allclose(linalg.matrix_exp(A).diagonal().numpy(), np.exp([30, -30]), rtol=1e-10)


def test_products_of_many_and_tensors_as_maps():
    a, b, c = matrices(4), matrices(4, 5), matrices(5, 3)
    close(linalg.multi_dot([a, b, c]), np.linalg.multi_dot([x.numpy() for x in (a, b, c)]))
    A = matrices(2, 3, 6)
    close(linalg.tensorinv(A), np.linalg.tensorinv(A.numpy()))
    close(linalg.tensorsolve(A, matrices(2, 3)), np.linalg.tensorsolve(A.numpy(), matrices(2, 3).numpy()))


def test_householder_reflections():
    A = matrices(4, 3)
    a, tau = wengert.geqrf(A)
    close(linalg.householder_product(a, tau).abs(), linalg.qr(A)[0].abs())
    close(wengert.ormqr(a, tau, wengert.ormqr(a, tau, A), transpose=True), A)


def test_older_names():
    A = matrices(3, 3)
    U, S, V = wengert.svd(A)
    close(U @ S.diag() @ V.mT, A)
    close(A.inverse(), linalg.inv(A))
    close(A.pinverse(), linalg.pinv(A))
    solution, copied = wengert.triangular_solve(A, A)
    close(A.triu() @ solution, A)
    close(copied, A)


def test_low_rank_factors():
    A = matrices(8, 3) @ matrices(3, 6)
    U, S, V = wengert.svd_lowrank(A, 3)
    close(U @ S.diag() @ V.mT, A, 1e-8)


SINGULAR = wengert.tensor([[1.0, 2.0], [2.0, 4.0]])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: linalg.inv(SINGULAR), "diagonal element 2 is zero"),
        (lambda: linalg.inv(wengert.stack([wengert.eye(2), SINGULAR])), "Batch element 1"),
        (lambda: linalg.solve(SINGULAR, SINGULAR), "the input matrix is singular"),
        (lambda: linalg.cholesky(-wengert.eye(2)), "leading minor of order 1"),
        (lambda: linalg.lu_factor(wengert.zeros(2, 2)), "U\\[1,1\\] is zero"),
    ],
)
def test_what_does_not_exist_is_a_linalg_error(call, words):
    with pytest.raises(linalg.LinAlgError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: linalg.inv(wengert.ones(2, 3)), "square matrices, but they are 2 by 3"),
        (lambda: linalg.inv(wengert.ones(2)), "at least 2 dimensions"),
        (lambda: linalg.inv(wengert.ones(2, 2, dtype=wengert.int64)), "Expected a floating point or complex tensor"),
        (lambda: linalg.inv(wengert.ones(2, 2).half()), "Low precision"),
        (lambda: linalg.solve(wengert.eye(2), wengert.ones(3, 1)), "Incompatible shapes"),
        (lambda: linalg.qr(wengert.eye(2), "full"), "unrecognized mode"),
        (lambda: linalg.matrix_norm(wengert.eye(2), 7), "Order 7 not supported"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(RuntimeError, match=words):
        call()


def test_singular_matrices_are_told_without_an_error():
    assert linalg.inv_ex(SINGULAR).info == 2
    assert linalg.cholesky_ex(-wengert.eye(2)).info == 1
    assert linalg.solve_ex(SINGULAR, SINGULAR).info == 2
