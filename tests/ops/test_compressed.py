"""Sparse matrices with their rows (CSR) or columns (CSC) compressed."""

import copy
import pickle

import numpy as np
import pytest

import wengert as torch

DENSE = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])


def csr(**options):
    return torch.sparse_csr_tensor([0, 2, 3], [0, 1, 2], [1.0, 2.0, 3.0], (2, 3), dtype=torch.float64, **options)


def test_its_parts():
    matrix = csr()
    assert matrix.layout is torch.sparse_csr and matrix.is_sparse_csr and not matrix.is_sparse
    assert matrix.crow_indices().tolist() == [0, 2, 3]
    assert matrix.col_indices().tolist() == [0, 1, 2]
    assert matrix.values().tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(matrix.to_dense().numpy(), DENSE)


def test_every_layout_becomes_every_other():
    dense = torch.from_numpy(DENSE)
    forms = [dense, dense.to_sparse(), dense.to_sparse_csr(), dense.to_sparse_csc(),
             dense.to_sparse(layout=torch.sparse_csr)]  # fmt: skip
    for form in forms:
        for other in (form.to_sparse_csr(), form.to_sparse_csc(), form.to_sparse()):
            np.testing.assert_array_equal(other.to_dense().numpy(), DENSE)
    assert dense.to_sparse_csc().ccol_indices().tolist() == [0, 1, 2, 3]
    assert dense.to_sparse_csc().row_indices().tolist() == [0, 0, 1]


def test_a_transposed_matrix_has_the_other_layout():
    turned = csr().t()
    assert turned.layout is torch.sparse_csc
    np.testing.assert_array_equal(turned.to_dense().numpy(), DENSE.T)


def test_products_and_sums():
    x = torch.ones(3, 2, dtype=torch.float64)
    np.testing.assert_array_equal((csr() @ x).numpy(), DENSE @ x.numpy())
    np.testing.assert_array_equal((csr() @ x[:, 0]).numpy(), DENSE.sum(1))
    np.testing.assert_array_equal((csr() @ csr().t().to_sparse_csr()).to_dense().numpy(), DENSE @ DENSE.T)
    assert (csr() + csr()).layout is torch.sparse_csr
    np.testing.assert_array_equal((csr() * 2 + csr()).to_dense().numpy(), 3 * DENSE)
    np.testing.assert_array_equal((csr() + torch.ones(2, 3)).numpy(), DENSE + 1)


def test_gradients_reach_the_values():
    values = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = torch.ones(3, 2, requires_grad=True)
    (torch.sparse_csr_tensor([0, 2, 3], [0, 1, 2], values, (2, 3)) @ x).sum().backward()
    assert values.grad.tolist() == [2.0, 2.0, 2.0]
    assert x.grad.tolist() == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]


def test_copies():
    for twin in (pickle.loads(pickle.dumps(csr())), copy.deepcopy(csr()), csr().clone()):
        assert twin.layout is torch.sparse_csr
        np.testing.assert_array_equal(twin.to_dense().numpy(), DENSE)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: csr().coalesce(), RuntimeError, "got SparseCsr"),
        (lambda: csr().indices(), RuntimeError, "got SparseCsr"),
        (lambda: csr().ccol_indices(), RuntimeError, "ccol_indices expected"),
        (lambda: torch.ones(2).crow_indices(), RuntimeError, "got Strided"),
        (lambda: csr().numpy(), TypeError, "Use Tensor.to_dense"),
        (lambda: csr().stride(), RuntimeError, "do not have strides"),
        (lambda: torch.sparse_csr_tensor([0, 1], [0], [1.0], (2, 2)), RuntimeError, "number of rows"),
        (lambda: torch.sparse_csr_tensor([0, 1], [5], [1.0], (1, 2), check_invariants=True), RuntimeError, "ncols"),
        (lambda: torch.sparse_csr_tensor([1, 1], [0], [1.0], check_invariants=True), RuntimeError, "== 0"),
        (lambda: torch.sparse_csr_tensor([[0, 1]], [[0]], [[1.0]]), NotImplementedError, "batched"),
        (lambda: torch.ones(2).to_sparse_csr(), RuntimeError, "two dimensions"),
        (lambda: torch.ones(2, 2).to_sparse(layout=torch.sparse_bsr), NotImplementedError, "sparse"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
