"""Products over named and paired dimensions agree with NumPy's, and their derivatives with finite differences."""

import numpy as np
import pytest

import wengert
from wengert.autograd import gradcheck, gradgradcheck


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s) for s in shapes]


def leaves(*shapes):
    return [wengert.tensor(a, requires_grad=True) for a in arrays(*shapes)]


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("i,j->ij", (2,), (3,)),
    ("i,i", (3,), (3,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("b...,b->b...", (2, 3, 4), (2,)),
    ("ijk,ilm,njm,nlk,abc->", (2, 3, 4), (2, 3, 5), (2, 3, 5), (2, 3, 4), (2, 2, 2)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("iij,jk->ik", (2, 2, 3), (3, 2)),
    (" i j , j -> i ", (2, 3), (3,)),
    ("ba,cb,dc->ad", (2, 3), (4, 2), (5, 4)),
    ("iji->j", (2, 3, 2)),
    ("...->...", (2, 3)),
    ("ik,jk,k->ij", (2, 3), (4, 3), (3,)),
]


@pytest.mark.parametrize(("equation", "shapes"), [(e, s) for e, *s in EINSUMS])
def test_einsum_is_numpys(equation, shapes):
    operands = arrays(*shapes)
    result = wengert.einsum(equation, *map(wengert.tensor, operands))
    np.testing.assert_allclose(result.numpy(), np.einsum(equation, *operands), atol=1e-12)


@pytest.mark.parametrize(("equation", "shapes"), [(e, s) for e, *s in EINSUMS[:9]])
def test_the_derivative_of_einsum(equation, shapes):
    assert gradcheck(lambda *x: wengert.einsum(equation, *x), leaves(*shapes))


def test_einsum_takes_lists_of_numbers_for_labels():
    a, b = arrays((2, 3), (3, 4))
    expected = a @ b
    given = wengert.tensor(a), wengert.tensor(b)
    np.testing.assert_allclose(wengert.einsum(given[0], [0, 1], given[1], [1, 2], [0, 2]).numpy(), expected)
    np.testing.assert_allclose(wengert.einsum(given[0], [0, 1], given[1], [1, 2]).numpy(), expected)
    np.testing.assert_allclose(wengert.einsum("ij,jk", list(given)).numpy(), expected)


def test_a_dimension_of_one_element_meets_any_in_einsum():
    a, b = arrays((2, 1), (3, 4))
    result = wengert.einsum("ij,jk->ik", wengert.tensor(a), wengert.tensor(b))
    np.testing.assert_allclose(result.numpy(), a @ b.sum(0, keepdims=True))


@pytest.mark.parametrize(
    ("equation", "shapes", "words"),
    [
        ("ij,jk", [(2, 3)], "fewer operands"),
        ("ij", [(2, 3), (2, 3)], "more operands"),
        ("ij", [(2,)], "does not match the number"),
        ("ij->k", [(2, 3)], "output subscript k does not appear"),
        ("ij->ii", [(2, 3)], "appears more than once"),
        ("ij,jk", [(2, 3), (4, 2)], "does not broadcast with previously seen size"),
        ("i?", [(2, 3)], "subscripts must be in"),
        ("i.j", [(2, 3)], "not part of any ellipsis"),
        ("ii", [(2, 3)], "repeated"),
    ],
)
def test_einsum_says_what_is_wrong(equation, shapes, words):
    with pytest.raises(RuntimeError, match=words):
        wengert.einsum(equation, *(wengert.zeros(s) for s in shapes))


def test_tensordot_inner_kron():
    a, b = arrays((2, 3, 4), (4, 3, 5))
    x, y = wengert.tensor(a), wengert.tensor(b)
    np.testing.assert_allclose(wengert.tensordot(x, y, 1).numpy(), np.tensordot(a, b, 1))
    np.testing.assert_allclose(wengert.tensordot(x, y, ([2, 1], [0, 1])).numpy(), np.tensordot(a, b, ([2, 1], [0, 1])))
    np.testing.assert_allclose(x.inner(wengert.tensor(a[0])).numpy(), np.inner(a, a[0]))
    np.testing.assert_allclose(wengert.kron(x, y).numpy(), np.kron(a, b))
    with pytest.raises(RuntimeError, match="contracted dimensions"):
        wengert.tensordot(x, y, ([0], [1]))


def test_chain_matmul_multiplies_in_the_cheapest_order():
    a, b, c = arrays((10, 100), (100, 5), (5, 50))
    np.testing.assert_allclose(wengert.chain_matmul(*map(wengert.tensor, (a, b, c))).numpy(), a @ b @ c)


def test_cross():
    a, b = arrays((4, 3), (4, 3))
    np.testing.assert_allclose(wengert.linalg.cross(wengert.tensor(a), wengert.tensor(b)).numpy(), np.cross(a, b))
    assert wengert.cross(wengert.ones(3, 4), wengert.ones(3, 4)).shape == (3, 4)  # along the first dimension of three
    assert gradgradcheck(lambda x, y: wengert.linalg.cross(x, y), leaves((1, 3), (4, 3)))
    with pytest.raises(RuntimeError, match="must have length 3"):
        wengert.linalg.cross(wengert.ones(4), wengert.ones(4))


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, float("inf")])
def test_cdist(p):
    a, b = arrays((2, 4, 3), (5, 3))
    difference = np.abs(a[..., :, None, :] - b[None, :, :])
    expected = {0: lambda: (difference != 0).sum(-1), float("inf"): lambda: difference.max(-1)}.get(
        p, lambda: (difference**p).sum(-1) ** (1 / p)
    )()
    np.testing.assert_allclose(wengert.cdist(wengert.tensor(a), wengert.tensor(b), p).numpy(), expected)
    assert gradcheck(lambda x, y: wengert.cdist(x, y, p), leaves((2, 4, 3), (5, 3)))


def test_cdist_of_many_rows_goes_through_a_matrix_product():
    a, b = arrays((40, 3), (30, 3))
    expected = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    np.testing.assert_allclose(wengert.cdist(wengert.tensor(a), wengert.tensor(b)).numpy(), expected, atol=1e-6)


def test_the_distance_0_has_the_gradient_0():
    x = wengert.ones(2, 3, requires_grad=True)
    wengert.cdist(x, wengert.ones(2, 3)).sum().backward()
    assert x.grad.abs().sum() == 0
