"""Sparse tensors in coordinate form: they compute what their dense forms compute, gradients included."""

import copy
import pickle

import pytest

import wengert as torch

INDICES = [[0, 1, 1, 0], [2, 0, 2, 2]]


@pytest.fixture
def matrix():
    """[[0, 0, 5], [2, 0, 3]], with a coordinate that repeats."""
    return torch.sparse_coo_tensor(INDICES, [1.0, 2.0, 3.0, 4.0], (2, 3))


@pytest.fixture
def dense():
    return torch.arange(6.0).reshape(3, 2).clone()


def agree(sparse, expected):
    torch.testing.assert_close(sparse.to_dense() if sparse.is_sparse else sparse, expected)


# --- what it is -------------------------------------------------------------------------------------------------------


def test_coordinates_and_values(matrix):
    assert matrix.is_sparse
    assert matrix.layout is torch.sparse_coo
    assert isinstance(matrix, torch.Tensor)
    assert matrix.shape == (2, 3)
    assert (matrix._nnz(), matrix.sparse_dim(), matrix.dense_dim(), matrix.numel()) == (4, 2, 0, 6)
    assert matrix._indices().tolist() == INDICES
    assert matrix._values().tolist() == [1, 2, 3, 4]
    assert matrix.to_dense().tolist() == [[0, 0, 5], [2, 0, 3]]


def test_only_a_coalesced_tensor_shows_its_parts(matrix):
    for part in (matrix.indices, matrix.values):
        with pytest.raises(RuntimeError, match=r"on an uncoalesced tensor, please call \.coalesce"):
            part()
    whole = matrix.coalesce()
    assert not matrix.is_coalesced()
    assert whole.is_coalesced()
    assert whole.indices().tolist() == [[0, 1, 1], [2, 0, 2]]
    assert whole.values().tolist() == [5, 2, 3]
    assert whole.coalesce() is whole


def test_the_size_is_worked_out_if_not_given():
    assert torch.sparse_coo_tensor(INDICES, torch.ones(4)).shape == (2, 3)
    assert torch.sparse_coo_tensor(size=(2, 3)).to_dense().tolist() == [[0] * 3] * 2
    assert torch.sparse_coo_tensor((2, 3))._nnz() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 1]], [1.0, 2.0, 3.0], (2,)), "same nnz, but got nnz from indices: 2, nnz from values: 3"),
        (([[0, 1]], [1.0, 2.0], (2, 3)), r"len\(size\) == sparse_dim \+ dense_dim"),
        (([[0, 3]], [1.0, 2.0], (2,)), "for dim 0, size is 2 but found index 3"),
        (([[0, -1]], [1.0, 2.0], (2,)), "found negative index -1 for dim 0"),
        (([[0, 1]], [[1.0], [2.0]], (2, 3)), "values has incorrect size"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(RuntimeError, match=message):
        torch.sparse_coo_tensor(*arguments)


def test_text(matrix):
    assert str(matrix.coalesce().double().requires_grad_()) == (
        "tensor(indices=tensor([[0, 1, 1],\n"
        "                       [2, 0, 2]]),\n"
        "       values=tensor([5., 2., 3.]),\n"
        "       size=(2, 3), nnz=3, dtype=torch.float64, layout=torch.sparse_coo,\n"
        "       requires_grad=True)"
    )


def test_from_dense(dense):
    sparse = dense.to_sparse()
    assert sparse.is_coalesced()
    assert sparse._nnz() == 5
    agree(sparse, dense)
    rows = dense.to_sparse(1)
    assert (rows.sparse_dim(), rows.dense_dim(), rows._values().shape) == (1, 1, (3, 2))
    agree(rows, dense)


def test_copies(matrix):
    for twin in (pickle.loads(pickle.dumps(matrix)), copy.deepcopy(matrix), matrix.clone(), matrix.detach()):
        assert twin._indices().tolist() == INDICES
        agree(twin, matrix.to_dense())
    matrix.detach()._values().mul_(2)
    assert matrix._values().tolist() == [2, 4, 6, 8]


def test_other_layouts_are_refused_by_name(matrix, dense):
    for refused in (
        lambda: dense.to_sparse_bsr((1, 1)),
        lambda: dense.to_sparse(layout=torch.sparse_bsr),
        lambda: torch.sparse_bsr_tensor([0, 1], [0], [1.0]),
        lambda: matrix.to_sparse_bsr((1, 1)),
    ):
        with pytest.raises(NotImplementedError, match=r"csr|bsr"):
            refused()


def test_dense_tensors_have_no_coordinates(dense):
    assert (dense.sparse_dim(), dense.dense_dim()) == (0, 2)
    with pytest.raises(RuntimeError, match="values expected sparse tensor layout but got Strided"):
        dense.values()
    with pytest.raises(RuntimeError, match="coalesce expected sparse coordinate tensor layout"):
        dense.coalesce()


# --- what it computes -------------------------------------------------------------------------------------------------

UNARY = "neg abs sqrt sin tanh relu sign expm1 log1p square isnan floor"


@pytest.mark.parametrize("name", UNARY.split())
def test_functions_that_are_zero_at_zero(matrix, name):
    agree(getattr(matrix, name)(), getattr(matrix.to_dense(), name)())


def test_what_would_fill_the_zeros_is_refused(matrix):
    for name in ("exp", "cos", "softmax", "view", "mean", "max"):
        with pytest.raises(NotImplementedError, match=f"aten::{name}' with arguments from the 'SparseCPU'"):
            getattr(matrix, name)()
    with pytest.raises(TypeError, match=r"Use Tensor\.to_dense"):
        matrix.numpy()
    with pytest.raises(RuntimeError, match=r"Use add\(dense, sparse\) instead"):
        matrix + torch.ones(2, 3)


def test_arithmetic(matrix):
    full, other = matrix.to_dense(), torch.sparse_coo_tensor([[0, 1], [0, 2]], [7.0, 8.0], (2, 3))
    ones = torch.ones(2, 3)
    for result, expected in (
        (matrix * 2, full * 2), (2 * matrix, full * 2), (matrix / 2, full / 2), (matrix + matrix, full + full),
        (matrix + other, full + other.to_dense()), (matrix - other, full - other.to_dense()), (-matrix, -full),
        (matrix * other, full * other.to_dense()), (matrix * (3 * ones), full * 3), (ones * matrix, full),
        (ones + matrix, ones + full), (ones - matrix, ones - full), (matrix.coalesce() ** 2, full**2),
        (torch.add(matrix, other, alpha=3), full + 3 * other.to_dense()),
    ):  # fmt: skip
        agree(result, expected)
    agree(torch.zeros(2, 3).add_(matrix, alpha=-2), -2 * full)


def test_products(matrix, dense):
    expected = matrix.to_dense() @ dense
    for product in (torch.sparse.mm, torch.mm, torch.spmm, torch.matmul):
        agree(product(matrix, dense), expected)
    agree(matrix @ dense, expected)
    agree(matrix @ torch.ones(3), matrix.to_dense() @ torch.ones(3))
    agree(torch.ones(4, 2) @ matrix, torch.ones(4, 2) @ matrix.to_dense())
    agree(torch.sparse.mm(matrix, dense.to_sparse()), expected)
    agree(torch.sparse.addmm(torch.ones(2, 2), matrix, dense, beta=2, alpha=3), 2 + 3 * expected)
    agree(torch.addmm(torch.ones(2, 2), matrix, dense), 1 + expected)
    batch = torch.stack([matrix, matrix * 2])
    agree(torch.bmm(batch, torch.stack([dense, dense])), torch.stack([expected, expected * 2]))
    with pytest.raises(RuntimeError, match=r"cannot be multiplied \(2x3 and 2x3\)"):
        torch.sparse.mm(matrix, matrix)


def test_sums(matrix):
    full = matrix.to_dense()
    assert torch.sparse.sum(matrix).item() == 10
    for dim in (0, 1, [0], [0, 1]):
        agree(torch.sparse.sum(matrix, dim), full.sum(dim))
    agree(matrix.sum(1, keepdim=True), full.sum(1, keepdim=True))
    agree(matrix.norm(), full.norm())


def test_softmax_counts_what_is_there(matrix):
    result = torch.sparse.softmax(matrix, 1).to_dense()
    assert result[0].tolist() == [0, 0, 1]
    torch.testing.assert_close(result[1, [0, 2]], torch.softmax(torch.tensor([2.0, 3.0]), 0))
    logs = torch.sparse.log_softmax(matrix, 1).to_dense()
    torch.testing.assert_close(logs[1, [0, 2]], torch.log_softmax(torch.tensor([2.0, 3.0]), 0))


def test_shapes(matrix):
    full = matrix.to_dense()
    rows = torch.tensor([1, 0, 1])
    for result, expected in (
        (matrix.t(), full.t()), (matrix.T, full.T), (matrix.transpose(0, 1), full.t()),
        (matrix.permute(1, 0), full.t()), (torch.cat([matrix, matrix], 1), torch.cat([full, full], 1)),
        (matrix.unsqueeze(1), full.unsqueeze(1)), (matrix.index_select(0, rows), full[rows]), (matrix[1], full[1]),
        (matrix[:, 2], full[:, 2]), (matrix[1, 2], full[1, 2]),
        (torch.stack([matrix, matrix]), torch.stack([full, full])), (matrix.narrow_copy(1, 1, 2), full[:, 1:]),
    ):  # fmt: skip
        assert result.shape == expected.shape
        agree(result, expected)


def test_values_that_are_vectors():
    hybrid = torch.sparse_coo_tensor([[0, 2, 0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], (3, 2))
    full = hybrid.to_dense()
    assert full.tolist() == [[6, 8], [0, 0], [3, 4]]
    for result, expected in (
        (hybrid.sum(0), full.sum(0)), (hybrid.sum(1), full.sum(1)), (hybrid + hybrid, full * 2), (hybrid[2], full[2]),
        (hybrid.index_select(1, torch.tensor([1])), full[:, 1:]), (hybrid.coalesce(), full),
    ):  # fmt: skip
        agree(result, expected)


# --- gradients --------------------------------------------------------------------------------------------------------


def test_gradients_reach_the_values_and_the_dense_side(dense):
    values = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    dense.requires_grad_()
    sparse = torch.sparse_coo_tensor(INDICES, values, (2, 3))
    assert not sparse.is_leaf
    (torch.sparse.mm(sparse, dense) ** 2).sum().backward()
    found = values.grad, dense.grad
    values.grad = dense.grad = None
    full = torch.zeros(2, 3).index_put(tuple(torch.tensor(INDICES)), values, accumulate=True)
    ((full @ dense) ** 2).sum().backward()
    torch.testing.assert_close(found, (values.grad, dense.grad))


def test_the_gradient_of_a_sparse_leaf_is_sparse(matrix, dense):
    matrix.requires_grad_()
    for times in (1, 2):
        torch.sparse.mm(matrix, dense).sum().backward()
        assert matrix.grad.is_sparse
        assert matrix.grad._indices().tolist() == INDICES
        assert matrix.grad._values().tolist() == [9 * times, 1 * times, 9 * times, 9 * times]
    (grad,) = torch.autograd.grad(matrix.to_dense().sum(), matrix)
    assert grad._values().tolist() == [1, 1, 1, 1]


def test_products_have_second_derivatives(matrix, dense):
    matrix = matrix.double()
    dense = dense.double().requires_grad_()
    values = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def product(values, dense):
        return torch.sparse.mm(torch.sparse_coo_tensor(INDICES, values, (2, 3)), dense)

    assert torch.autograd.gradcheck(product, (values, dense))
    assert torch.autograd.gradgradcheck(product, (values, dense))


@pytest.mark.parametrize(
    "function",
    [
        lambda s: torch.sparse.softmax(s, 1), lambda s: torch.sparse.log_softmax(s, 0),
        lambda s: torch.sparse.sum(s, 0),
        lambda s: s.coalesce(), lambda s: s.t(), lambda s: s * 3, lambda s: s.index_select(1, torch.tensor([2, 2, 0])),
        lambda s: s + s.coalesce(), lambda s: torch.cat([s, s]), lambda s: s * torch.arange(6.0).reshape(2, 3),
        lambda s: torch.sparse.mm(s, s.t()), lambda s: s[1], lambda s: s.sqrt(),
    ],
)  # fmt: skip
def test_every_operation_has_derivatives(function):
    values = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v: function(torch.sparse_coo_tensor(INDICES, v, (2, 3))).to_dense(), (values,)
    )


def test_hooks_see_sparse_gradients(matrix, dense):
    matrix.requires_grad_().register_hook(lambda g: g * 2)
    torch.sparse.mm(matrix, dense).sum().backward()
    assert matrix.grad._values().tolist() == [18, 2, 18, 18]


# --- embeddings -------------------------------------------------------------------------------------------------------


def test_an_embedding_gets_a_sparse_gradient():
    table = torch.nn.Embedding(5, 2, padding_idx=0, sparse=True)
    table(torch.tensor([1, 1, 3, 0])).sum().backward()
    grad = table.weight.grad
    assert grad.is_sparse
    assert grad._indices().tolist() == [[1, 1, 3]]
    assert grad.coalesce()._values().tolist() == [[2, 2], [1, 1]]
    table(torch.tensor([2])).sum().backward()
    assert table.weight.grad.to_dense()[:, 0].tolist() == [0, 2, 1, 1, 0]
    table.weight.sum().backward()
    assert table.weight.grad.tolist() == [[1, 1], [3, 3], [2, 2], [2, 2], [1, 1]]


def test_bags_get_sparse_gradients_too():
    bags = torch.nn.EmbeddingBag(5, 2, sparse=True, mode="sum")
    bags(torch.tensor([[1, 2], [0, 1]])).sum().backward()
    assert bags.weight.grad.to_dense()[:, 0].tolist() == [1, 2, 1, 0, 0]
    scaled = torch.nn.EmbeddingBag(5, 2, sparse=True, mode="sum", scale_grad_by_freq=True)
    scaled(torch.tensor([[1, 2], [0, 1]])).sum().backward()
    assert scaled.weight.grad.to_dense()[:, 0].tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("kind", ["SGD", "Adagrad", "SparseAdam"])
def test_optimizers_move_only_the_rows_looked_up(kind):
    table = torch.nn.Embedding(5, 2, sparse=True)
    before = table.weight.detach().clone()
    optimizer = getattr(torch.optim, kind)(table.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (table(torch.tensor([1, 3, 3])) ** 2).sum().backward()
        optimizer.step()
    moved = (table.weight != before).any(1)
    assert moved.tolist() == [False, True, False, True, False]


def test_sgd_with_a_sparse_gradient_is_sgd():
    weights = []
    for sparse in (False, True):
        torch.manual_seed(0)
        table = torch.nn.Embedding(5, 2, sparse=sparse).double()
        optimizer = torch.optim.SGD(table.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        for _ in range(4):
            optimizer.zero_grad()
            (table(torch.tensor([1, 3, 3])) ** 2).sum().backward()
            optimizer.step()
        weights.append(table.weight.detach())
    torch.testing.assert_close(*weights)


def test_other_optimizers_refuse_sparse_gradients():
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="please consider SparseAdam instead"):
        torch.optim.Adam(table.parameters()).step()
    with pytest.raises(RuntimeError, match="RMSprop does not support sparse"):
        torch.optim.RMSprop(table.parameters()).step()
    table.weight.grad = table.weight.grad.to_dense()
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        torch.optim.SparseAdam(table.parameters()).step()


def test_the_older_constructors(matrix):
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    agree(torch.sparse.FloatTensor(torch.tensor(INDICES), values, torch.Size([2, 3])), matrix.to_dense())
    assert torch.sparse.LongTensor(2, 3).dtype is torch.int64
    with pytest.raises(TypeError, match="expected DoubleTensor"):
        torch.sparse.DoubleTensor(torch.tensor(INDICES), values, (2, 3))


def test_sparse_gradients_add_up_in_place():
    table = torch.nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([0])).sum().backward()
    grad = table.weight.grad
    table(torch.tensor([0, 2])).sum().backward()
    assert table.weight.grad is grad
    assert grad.to_dense().tolist() == [[2, 2], [0, 0], [1, 1]]


def test_data_of_a_sparse_tensor_may_be_replaced():
    table = torch.nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    grad = table.weight.grad
    assert table.double().weight.grad is grad and grad.dtype is torch.float64
    with pytest.raises(RuntimeError, match="incompatible tensor type"):
        grad.data = torch.ones(3, 2)


@pytest.mark.parametrize("make", [torch.zeros, torch.empty])
def test_a_sparse_tensor_of_a_size(make):
    nothing = make((2, 3), layout=torch.sparse_coo, dtype=torch.float64)
    assert nothing.is_sparse and nothing.dtype is torch.float64 and nothing._nnz() == 0 and nothing.is_coalesced()
    assert nothing.to_dense().tolist() == [[0, 0, 0], [0, 0, 0]]
