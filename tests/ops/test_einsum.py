"""Einstein's summation against NumPy's, and its gradient against that of the same sum written out."""

import numpy as np
import pytest

import wengert as torch

EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii->", (3, 3)),
    ("ij,kj", (2, 3), (4, 3)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ij,j->i", (2, 3), (3,)),
    ("ab,cd->da", (2, 3), (4, 2)),
]


def values(shape):
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape) / 7 - 1


@pytest.mark.parametrize("equation, shapes", [(equation, shapes) for equation, *shapes in EQUATIONS])
def test_it_sums_as_numpy_does(equation, shapes):
    arrays = [values(shape) for shape in shapes]
    result = torch.einsum(equation, *map(torch.from_numpy, arrays))
    np.testing.assert_allclose(result.numpy(), np.einsum(equation, *arrays), rtol=1e-12)


def test_the_gradient_of_a_product_is_that_of_matmul():
    a = torch.from_numpy(values((2, 3))).requires_grad_()
    b = torch.from_numpy(values((3, 4))).requires_grad_()
    torch.einsum("ij,jk->ik", a, b).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.ones((2, 4)) @ values((3, 4)).T)
    np.testing.assert_allclose(b.grad.numpy(), values((2, 3)).T @ np.ones((2, 4)))


def test_lists_of_numbers_stand_for_an_equation():
    a, b = torch.from_numpy(values((2, 3))), torch.from_numpy(values((3, 4)))
    assert torch.equal(torch.einsum(a, [0, 1], b, [1, 2], [0, 2]), torch.einsum("ij,jk->ik", a, b))


@pytest.mark.parametrize(
    "equation, said",
    [
        ("ij,jk->im", "output subscript m does not appear"),
        ("ij->ij", "more operands"),
        ("ij,jk,kl->il", "fewer operands"),
        ("ij,ik->jk", "does not broadcast"),
        ("ijk,jk->i", "number of subscripts"),
    ],
)
def test_a_wrong_equation_is_refused(equation, said):
    with pytest.raises(RuntimeError, match=said):
        torch.einsum(equation, torch.ones(2, 3), torch.ones(3, 4))
