"""The bracket and its kin on tensors: what shares memory, what is recorded, what flows back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import wengert as torch


def leaf(*shape):
    count = int(np.prod(shape))
    return torch.from_numpy((np.arange(count, dtype=np.float64) % 7 + 1).reshape(shape)).requires_grad_()


def index(*values):
    return torch.tensor(list(values))


def chain(tensor):
    names, node = [], tensor.grad_fn
    while node is not None and node.next_functions:
        names.append(node.name())
        node = node.next_functions[0][0]
    return names


CHAINS = {
    "int": (lambda x: x[0], ["SelectBackward0"]),
    "ints": (lambda x: x[0, 1], ["SelectBackward0", "SelectBackward0"]),
    "slice": (lambda x: x[:], ["SliceBackward0"]),
    "second slice": (lambda x: x[:, 1:], ["SliceBackward0"]),
    "whole": (lambda x: x[:, :], ["AliasBackward0"]),
    "ellipsis": (lambda x: x[...], ["AliasBackward0"]),
    "none": (lambda x: x[None], ["UnsqueezeBackward0"]),
    "mixed": (lambda x: x[0, None, 1:], ["SliceBackward0", "UnsqueezeBackward0", "SelectBackward0"]),
    "index": (lambda x: x[index(0, 1)], ["IndexBackward0"]),
    "mask": (lambda x: x[x > 2], ["IndexBackward0"]),
    "view and index": (lambda x: x[0, :, index(0, 1)], ["IndexBackward0", "SelectBackward0"]),
    "bool": (lambda x: x[True], ["IndexBackward0", "UnsqueezeBackward0"]),
}


@pytest.mark.parametrize(("read", "expected"), CHAINS.values(), ids=CHAINS)
def test_a_recorded_bracket_is_a_chain_of_views_and_one_index(read, expected):
    assert chain(read(leaf(2, 3, 4))) == expected


@pytest.mark.parametrize(("read", "expected"), CHAINS.values(), ids=CHAINS)
def test_the_gradient_counts_what_was_read(read, expected):
    x = leaf(2, 3, 4)
    out = read(x)
    places = read(torch.arange(24).reshape(2, 3, 4)) if "mask" not in str(expected) else None
    out.sum().backward()
    counts = np.zeros(24)
    if places is not None and places.dtype is torch.int64 and tuple(places.shape) == tuple(out.shape):
        np.add.at(counts, places.numpy().reshape(-1), 1)
        np.testing.assert_array_equal(x.grad.numpy().reshape(-1), counts)
    else:
        np.testing.assert_array_equal(x.grad.numpy(), (x.detach() > 2).numpy())


def test_views_share_memory_and_copies_do_not():
    x = torch.zeros(3, 4)
    for view in (x[0], x[1:], x[:, None], x[...], x[0, 1], x[torch.tensor(2)]):
        assert view._base is x
        before = x._version
        view.fill_(view._version + 1.0)
        assert x._version == before + 1
    assert x.sum().item() != 0
    for copy in (x[index(0, 1)], x[x > 0], x[[0, 1]], x[True]):
        assert copy._base is None
        copy.fill_(99)
    assert (x == 99).sum().item() == 0


def test_a_read_keeps_its_indices_safe():
    x, i = leaf(3), index(0, 1)
    out = x[i]
    i[0] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_second_derivatives_of_reads_and_writes():
    x = leaf(3, 4)
    i = index(0, 2, 0)
    y = (x[i] ** 3).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(g.sum(), x)
    times = np.array([2, 0, 1])[:, None]
    np.testing.assert_allclose(second.numpy(), 6 * x.detach().numpy() * times)
    values = leaf(2, 4)
    out = x.index_put((index(0, 1),), values**2)
    (g,) = torch.autograd.grad((out * out).sum(), values, create_graph=True)
    (second,) = torch.autograd.grad(g.sum(), values)
    np.testing.assert_allclose(second.numpy(), 12 * values.detach().numpy() ** 2)


def test_assignment_is_recorded():
    x, value = leaf(3, 4), leaf(4)
    y = x * 1
    y[0] = value
    assert y.grad_fn.name() == "torch::autograd::CopySlices"
    y[index(1)] = value
    assert y.grad_fn.name() == "IndexPutBackward0"
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.repeat([[0.0], [0.0], [1.0]], 4, 1))
    np.testing.assert_array_equal(value.grad.numpy(), np.full(4, 2.0))


def test_assignment_of_every_kind():
    x = torch.zeros(3, 4)
    x[1] = 2
    x[0, 1:3] = torch.tensor([5.0, 6.0])
    x[2, index(0, -1)] = torch.tensor([7.0, 8.0])
    x[x == 2] = 9
    x[None, 2, 1] = True
    np.testing.assert_array_equal(x.numpy(), [[0, 5, 6, 0], [9, 9, 9, 9], [7, 1, 0, 8]])
    assert x._version == 5


def test_a_leaf_is_not_written():
    x = leaf(3)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        x[0] = 1
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x[index(0)] = 1
    with torch.no_grad():
        x[0] = 5
    assert x[0].item() == 5


BAD_WRITES = [
    (0, [1.0], TypeError, "can't assign a list to a torch.FloatTensor"),
    (0, 1j, RuntimeError, "value cannot be converted to type float without overflow"),
    (0, torch.zeros(3), RuntimeError, "expanded size of the tensor"),
    (index(0), torch.zeros(4, dtype=torch.float64), RuntimeError, "source and destination dtypes match"),
    (index(0), torch.zeros(3), RuntimeError, "shape mismatch: value tensor of shape"),
    (3, 1.0, IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    (slice(None, None, -1), 1.0, ValueError, "step must be greater than zero"),
]


@pytest.mark.parametrize(("at", "value", "error", "sentence"), BAD_WRITES, ids=[row[-1] for row in BAD_WRITES])
def test_bad_writes(at, value, error, sentence):
    with pytest.raises(error, match=sentence):
        torch.zeros(3, 4)[at] = value


@pytest.mark.parametrize(
    ("dtype", "value", "stored"),
    [("uint8", -1, 255), ("uint8", 300, None), ("int8", 127, 127), ("int8", 128, None), ("int64", 1.7, 1),
     ("int64", float("inf"), None), ("bool", 0.5, True), ("float32", 1e300, None)],
)  # fmt: skip
def test_numbers_are_stored_or_refused(dtype, value, stored):
    x = torch.zeros(2, dtype=getattr(torch, dtype))
    if stored is None:
        with pytest.raises(RuntimeError, match="without overflow"):
            x[0] = value
    else:
        x[0] = value
        assert x[0].item() == stored


# --- gradients against differences ------------------------------------------------------------------------------------


def numerical(function, x):
    """Central differences of a scalar function of an array."""
    out = np.zeros_like(x)
    for where in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[where] += 1e-6
        down[where] -= 1e-6
        out[where] = (function(up) - function(down)) / 2e-6
    return out


ROWS = index(0, 2, 0)
ELEMENTS = torch.tensor([[0, 2, 1], [0, 0, 2]])
MASK = torch.tensor([[True, False, True], [False, True, True], [True, True, False]])
UNARY = {
    "gather": lambda x: x.gather(0, ELEMENTS),
    "index_select": lambda x: x.index_select(1, ROWS),
    "index_fill": lambda x: x.index_fill(0, ROWS, 2.0),
    "take": lambda x: x.take(index(0, -1, 0)),
    "take_along_dim": lambda x: torch.take_along_dim(x, ROWS[:, None], 1),
    "masked_fill": lambda x: x.masked_fill(MASK, 0.5),
    "masked_select": lambda x: x.masked_select(MASK),
    "scatter number": lambda x: x.scatter(1, ELEMENTS, 3.0),
    "embedding": lambda x: torch.embedding(x, ELEMENTS),
}
BINARY = {
    "scatter": lambda x, y: x.scatter(0, ELEMENTS[:, 1:], y),
    "scatter_add": lambda x, y: x.scatter_add(0, ELEMENTS, y),
    "index_add": lambda x, y: x.index_add(0, ROWS[:2], y, alpha=2),
    "index_copy": lambda x, y: x.index_copy(0, index(2, 0), y),
    "put": lambda x, y: x.put(torch.tensor([[0, 8, 3], [4, 5, 6]]), y),
    "put accumulate": lambda x, y: x.put(torch.tensor([[0, 8, 3], [3, 5, 6]]), y, accumulate=True),
    "masked_scatter": lambda x, y: x.masked_scatter(MASK, y),
    "select_scatter": lambda x, y: x.select_scatter(y[0], 1, 2),
    "slice_scatter": lambda x, y: x.slice_scatter(y, 0, 1),
    "diagonal_scatter": lambda x, y: x.diagonal_scatter(y[1]),
    "index_put": lambda x, y: x.index_put((index(0, 2),), y),
}
for _reduce in ("sum", "prod", "mean", "amax", "amin"):
    for _self in (True, False):
        BINARY[f"scatter_reduce {_reduce} {_self}"] = lambda x, y, r=_reduce, s=_self: x.scatter_reduce(
            0, ELEMENTS, y, r, include_self=s
        )
        if _reduce != "sum":
            BINARY[f"index_reduce {_reduce} {_self}"] = lambda x, y, r=_reduce, s=_self: x.index_reduce(
                0, ROWS[:2], y, r, include_self=s
            )


def values(seed, *shape):
    return np.random.default_rng(seed).permutation(np.arange(1.0, 1 + np.prod(shape))).reshape(shape) / 3


@pytest.mark.parametrize("function", UNARY.values(), ids=UNARY)
def test_gradients_of_one_tensor(function):
    check([values(0, 3, 3)], function)


@pytest.mark.parametrize("function", BINARY.values(), ids=BINARY)
def test_gradients_of_two_tensors(function):
    check([values(1, 3, 3), values(2, 2, 3) + 0.1], function)


def check(arrays, function):
    """First derivatives against differences of values, second derivatives against differences of first ones."""
    weight = np.cos(np.arange(60.0))

    def loss(*tensors):
        out = function(*tensors).reshape(-1)
        return (out * out * torch.from_numpy(weight[: out.numel()])).sum()

    def first(position, *arrays):
        tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
        return tensors, torch.autograd.grad(loss(*tensors), tensors, create_graph=True)[position]

    def with_this(a, position):
        return [a if k == position else b for k, b in enumerate(arrays)]

    for position in range(len(arrays)):
        tensors, gradient = first(position, *arrays)
        expected = numerical(
            lambda a, p=position: loss(*map(torch.from_numpy, with_this(a, p))).item(), arrays[position]
        )
        np.testing.assert_allclose(gradient.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
        (second,) = torch.autograd.grad(gradient.sum(), tensors[position])
        expected = numerical(lambda a, p=position: first(p, *with_this(a, p))[1].sum().item(), arrays[position])
        np.testing.assert_allclose(second.numpy(), expected, rtol=1e-5, atol=1e-5)


IN_PLACE = {
    "masked_fill_": lambda x: x.masked_fill_(MASK, 2.0),
    "index_fill_": lambda x: x.index_fill_(0, ROWS, 2.0),
    "scatter_": lambda x: x.scatter_(0, ELEMENTS, 2.0),
    "scatter_add_": lambda x: x.scatter_add_(0, ELEMENTS, torch.ones(2, 3, dtype=torch.float64)),
    "index_add_": lambda x: x.index_add_(0, index(1), torch.ones(1, 3, dtype=torch.float64)),
    "index_put_": lambda x: x.index_put_((index(1),), torch.ones(3, dtype=torch.float64)),
    "put_": lambda x: x.put_(index(1), torch.ones(1, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_forms_write_and_record_what_the_others_return(name):
    x = leaf(3, 3)
    y = x * 2
    result = IN_PLACE[name](y)
    assert result is y
    assert y._version == 1
    y.pow(2).sum().backward()
    z = leaf(3, 3)
    out_of_place = name.removesuffix("_")
    original = (z * 2).clone()
    expected = {
        "masked_fill": lambda: original.masked_fill(MASK, 2.0),
        "index_fill": lambda: original.index_fill(0, ROWS, 2.0),
        "scatter": lambda: original.scatter(0, ELEMENTS, 2.0),
        "scatter_add": lambda: original.scatter_add(0, ELEMENTS, torch.ones(2, 3, dtype=torch.float64)),
        "index_add": lambda: original.index_add(0, index(1), torch.ones(1, 3, dtype=torch.float64)),
        "index_put": lambda: original.index_put((index(1),), torch.ones(3, dtype=torch.float64)),
        "put": lambda: original.put(index(1), torch.ones(1, dtype=torch.float64)),
    }[out_of_place]()
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    expected.pow(2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), z.grad.numpy())


def test_out_takes_the_result_in_its_own_dtype_only():
    x, out = leaf(3, 3).detach(), torch.empty(0, dtype=torch.float64)
    assert torch.gather(x, 0, ELEMENTS, out=out) is out
    np.testing.assert_array_equal(out.numpy(), x.gather(0, ELEMENTS).numpy())
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        torch.gather(x, 0, ELEMENTS, out=torch.empty(0))


def test_what_pytorch_cannot_derive_is_refused_in_backward():
    x = leaf(3, 3)
    with pytest.raises(RuntimeError, match=r"derivative for .aten::scatter. is not implemented"):
        x.scatter(0, ELEMENTS, 2.0, reduce="multiply").sum().backward()


@given(hnp.arrays(bool, hnp.array_shapes(max_dims=3, max_side=4)))
def test_nonzero(mask):
    x = torch.from_numpy(mask)
    np.testing.assert_array_equal(torch.nonzero(x).numpy(), np.argwhere(mask))
    for ours, theirs in zip(x.nonzero(as_tuple=True), mask.nonzero(), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)


@given(st.lists(st.integers(-3, 2), min_size=1, max_size=4))
def test_index_tensors_of_two_widths_read_alike(places):
    x = torch.arange(12.0).reshape(3, 4)
    wide = torch.tensor(places)
    np.testing.assert_array_equal(x[wide].numpy(), x.numpy()[places])
    np.testing.assert_array_equal(x[wide.int()].numpy(), x.numpy()[places])


def test_elements_are_not_deleted():
    x = torch.ones(3)
    with pytest.raises(TypeError, match="Tensor does not support deleting items"):
        del x[0]


@pytest.mark.parametrize("index", [slice("0", "1"), slice(1.5, 2)])
def test_the_bounds_of_a_slice_are_whole(index):
    with pytest.raises(TypeError, match="slice indices must be integers or None or have an __index__ method"):
        torch.ones(3)[index]


def test_no_more_index_tensors_than_dimensions():
    zero = torch.tensor([0])
    with pytest.raises(IndexError, match=r"too many indices for tensor of dimension 1 \(got 2\)"):
        torch.zeros(3).index_put_((zero, zero), torch.ones(1))


def test_masks_of_bytes_are_deprecated():
    x = torch.ones(3, 2)
    with pytest.warns(UserWarning, match="indexing with dtype torch.uint8 is now deprecated"):
        assert x[torch.tensor([1, 0, 1], dtype=torch.uint8)].shape == (2, 2)


@pytest.mark.parametrize("places", [torch.tensor([True] * 4), torch.arange(4)])
def test_a_shape_that_does_not_fit_is_told_before_a_dtype_that_does_not(places):
    x = torch.arange(4)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        x[places] = torch.tensor([])
    with pytest.raises(RuntimeError, match="dtypes match"):
        x[places] = torch.ones(4)


def test_a_write_needs_an_index():
    with pytest.raises(RuntimeError, match="at least one index"):
        torch.ones(()).index_put([], torch.ones(1), accumulate=True)
