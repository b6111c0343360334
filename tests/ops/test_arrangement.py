"""Diagonals, stacks, grids, turns and repeats agree with NumPy's; views stay views."""

import itertools

import numpy as np
import pytest

import wengert
from wengert.autograd import gradcheck

A = np.arange(24.0).reshape(2, 3, 4)
X = wengert.tensor(A)


def same(result, expected):
    np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_diagonals(offset):
    same(wengert.tensor(A[0]).diag(offset), np.diag(A[0], offset))
    same(wengert.tensor(A[0, 0]).diag(offset), np.diag(A[0, 0], offset))
    same(wengert.diagflat(wengert.tensor(A[0]), offset), np.diagflat(A[0], offset))
    embedded = wengert.diag_embed(X, offset)
    same(embedded.diagonal(offset, -2, -1), A)
    assert embedded.sum() == A.sum()


def test_trace_and_filled_diagonals():
    assert wengert.tensor(A[0]).trace() == np.trace(A[0])
    tall = np.zeros((7, 2))
    np.fill_diagonal(tall, 1, wrap=True)
    same(wengert.zeros(7, 2).fill_diagonal_(1, wrap=True), tall)
    same(wengert.zeros(3, 3).fill_diagonal_(5), 5 * np.eye(3))


def test_block_diag():
    result = wengert.block_diag(wengert.ones(2, 1), wengert.tensor(3.0), wengert.ones(2))
    same(result, [[1, 0, 0, 0], [1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 1, 1]])
    leaves = [
        wengert.ones(2, 2, dtype=wengert.float64, requires_grad=True),
        wengert.ones(1, 3, dtype=wengert.float64, requires_grad=True),
    ]
    assert gradcheck(lambda *x: wengert.block_diag(*x) ** 2, leaves)


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack", "column_stack"])
@pytest.mark.parametrize("a", [A, A[0], A[0, 0]])
def test_stacks(name, a):
    same(getattr(wengert, name)([wengert.tensor(a)] * 2), getattr(np, name)([a, a]))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("a", [np.array(1.0), A[0, 0], A[0], A])
def test_at_least(ndim, a):
    same(getattr(wengert, f"atleast_{ndim}d")(wengert.tensor(a)), getattr(np, f"atleast_{ndim}d")(a))
    assert isinstance(getattr(wengert, f"atleast_{ndim}d")(X, X), tuple)


@pytest.mark.parametrize(("name", "cut"), [("hsplit", 3), ("hsplit", [1, 2]), ("vsplit", 2), ("dsplit", [1, 3])])
def test_splits_are_views(name, cut):
    pieces = getattr(X, name)(cut)
    for piece, expected in zip(pieces, getattr(np, name)(A, cut), strict=True):
        same(piece, expected)
        assert piece._base is not None
    with pytest.raises(RuntimeError, match="not divisible"):
        X.vsplit(5)


def test_unsafe_pieces_may_be_written_where_gradients_are_recorded():
    x = wengert.ones(4, requires_grad=True)
    first, _ = wengert.unsafe_chunk(x * 2, 2)
    first.mul_(3)
    first.sum().backward()
    same(x.grad, [6, 6, 0, 0])


@pytest.mark.parametrize("indexing", ["ij", "xy"])
def test_meshgrid(indexing):
    vectors = np.arange(3.0), np.arange(2.0), np.arange(4.0)
    for count in (1, 2, 3):
        grids = wengert.meshgrid(*map(wengert.tensor, vectors[:count]), indexing=indexing)
        for grid, expected in zip(grids, np.meshgrid(*vectors[:count], indexing=indexing), strict=True):
            same(grid, expected)
    with pytest.warns(UserWarning, match="indexing"):
        wengert.meshgrid(wengert.ones(2))


def test_products_and_combinations():
    x, y = wengert.tensor([1, 2]), wengert.tensor([3, 4, 5])
    assert wengert.cartesian_prod(x, y).tolist() == [list(p) for p in itertools.product([1, 2], [3, 4, 5])]
    assert wengert.combinations(y).tolist() == [list(p) for p in itertools.combinations([3, 4, 5], 2)]
    expected = [list(p) for p in itertools.combinations_with_replacement([3, 4, 5], 3)]
    assert wengert.combinations(y, 3, with_replacement=True).tolist() == expected


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_indices_of_triangles(offset):
    same(wengert.tril_indices(3, 4, offset), np.stack(np.tril_indices(3, offset, 4)))
    same(wengert.triu_indices(3, 4, offset), np.stack(np.triu_indices(3, offset, 4)))


def test_unravel_index():
    for result, expected in zip(
        wengert.unravel_index(wengert.tensor([5, 23]), (2, 3, 4)), np.unravel_index([5, 23], (2, 3, 4)), strict=True
    ):
        same(result, expected)


def test_vander():
    x = np.array([1.0, 2.0, 3.0])
    same(wengert.vander(wengert.tensor(x)), np.vander(x))
    same(wengert.vander(wengert.tensor(x), 2, increasing=True), np.vander(x, 2, increasing=True))
    same(wengert.linalg.vander(wengert.tensor(x), N=4), np.vander(x, 4, increasing=True))


@pytest.mark.parametrize("k", range(-1, 5))
def test_rot90(k):
    same(X.rot90(k), np.rot90(A, k))
    same(wengert.rot90(X, k, (2, 1)), np.rot90(A, k, (2, 1)))


def test_reversals_and_moves():
    same(X.fliplr(), np.fliplr(A))
    same(X.flipud(), np.flipud(A))
    same(X.moveaxis(0, -1), np.moveaxis(A, 0, -1))


def test_repeat_interleave():
    same(X.repeat_interleave(2), np.repeat(A, 2))
    same(X.repeat_interleave(2, dim=1), np.repeat(A, 2, 1))
    same(X.repeat_interleave(wengert.tensor([1, 0, 2]), dim=1), np.repeat(A, [1, 0, 2], 1))
    same(wengert.repeat_interleave(wengert.tensor([1, 0, 2])), [0, 2, 2])
    with pytest.raises(RuntimeError, match="negative"):
        X.repeat_interleave(-1)


def test_copies_of_views_own_their_memory():
    for copied in (
        wengert.transpose_copy(X, 0, 1),
        wengert.permute_copy(X, (2, 0, 1)),
        wengert.narrow_copy(X, 0, 0, 1),
        *wengert.unbind_copy(X),
    ):
        assert copied._base is None and copied.is_contiguous()
    same(wengert.transpose_copy(X, 0, 1), A.swapaxes(0, 1))
    same(wengert.split_copy(X, 2, 2)[1], A[..., 2:])


@pytest.mark.parametrize(
    ("shape", "text"),
    [(wengert.tensor([1, 2]), "expected 'shape' to be int or sequence"), ((1, 2.0), "to only contain ints")],
)
def test_the_shape_of_coordinates_is_of_whole_numbers(shape, text):
    with pytest.raises(TypeError, match=text):
        wengert.unravel_index(wengert.tensor([1]), shape)


@pytest.mark.parametrize("name", ["view", "reshape", "permute", "flip", "expand", "repeat", "tile", "resize_"])
def test_shapes_and_dimensions_have_to_be_given(name):
    with pytest.raises(TypeError, match=name):
        getattr(wengert.ones(()), name)()
    assert getattr(wengert.ones(()), name)(()).shape == ()


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (wengert.zeros(4, 3), r"self.size\(-1\) must be divisible by 2 to view Float as Double .*, but got 3"),
        (wengert.zeros(4, 4)[:, 1:3], r"self.storage_offset\(\) must be divisible by 2"),
        (wengert.zeros(4, 5)[:, :4], r"self.stride\(0\) must be divisible by 2"),
        (wengert.zeros(4, 4).t(), r"self.stride\(-1\) must be 1"),
        (wengert.zeros(()), r"self.dim\(\) cannot be 0"),
    ],
)
def test_elements_are_read_as_wider_ones_where_whole_ones_lie(window, text):
    with pytest.raises(RuntimeError, match=text):
        window.view(wengert.float64)


def test_pieces_are_cut_at_whole_numbers():
    with pytest.raises(RuntimeError, match="dtype of long, but got Float"):
        wengert.ones(4).tensor_split(wengert.tensor([1.0]))
    with pytest.raises(TypeError):
        wengert.ones(4).tensor_split((1, 2.5))


def test_one_number_is_viewed_as_another():
    x, other = wengert.tensor(2.0, requires_grad=True), wengert.tensor(1.0)
    for same in (x.view_as(other), x.expand_as(other), x.reshape_as(other), x.contiguous().view(()), x.permute(())):
        assert same.shape == ()
        assert wengert.autograd.grad(same, x)[0] == 1
    assert wengert.Tensor(wengert.Size([])).shape == ()
