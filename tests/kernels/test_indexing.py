"""Indexing kernels against plain loops over coordinates."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wengert.kernels import indexing

DTYPES = [np.float32, np.float64, np.int64, np.uint8, np.complex64, np.float16, ml_dtypes.bfloat16]
shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def counted(shape, dtype=np.float64):
    return (np.arange(np.prod(shape, dtype=int)) % 97 + 1).reshape(shape).astype(dtype)


# ------------------------------------------------------------------------------------------------ the bracket


@st.composite
def array_and_index(draw):
    """An array and an index that is valid for it, of every kind that PyTorch knows."""
    array = counted(draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)))
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    chosen = draw(st.sampled_from([(), (1,), (3,), (2, 2), (2, 1)]))
    items, axis, ellipsis = [], 0, False
    while axis < array.ndim:
        kind = draw(st.sampled_from(["int", "slice", "none", "ellipsis", "array", "mask", "stop"]))
        if kind == "stop" and not ellipsis:  # behind an ellipsis every dimension must be spoken for
            break
        size = array.shape[axis]
        if kind == "int":
            items.append(draw(st.integers(-size, size - 1)))
        elif kind == "slice":
            bound = st.none() | st.integers(-size - 1, size + 1)
            items.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
        elif kind == "none":
            items.append(None)
            continue
        elif kind == "ellipsis":
            if ellipsis:
                continue
            items.append(Ellipsis)
            ellipsis = True
            axis += draw(st.integers(0, array.ndim - axis))
            continue
        elif kind == "array":
            items.append(draw(hnp.arrays(np.int64, chosen, elements=st.integers(-size, size - 1))))
        elif kind == "mask":
            if any(isinstance(item, np.ndarray) for item in items):
                continue
            items.append(draw(hnp.arrays(bool, size)))
            items.extend([slice(None)] * (array.ndim - axis - 1))
            break
        else:
            continue
        axis += 1
    return array, tuple(items)


def read_by_loop(array, index):
    """PyTorch's reading of an index, one element at a time: views first, then the index arrays that are left."""
    basic, arrays, axis = [], [], 0
    hidden = array.ndim - sum(item is not None and item is not Ellipsis for item in index)
    for item in index:
        if item is None:
            basic.append(None)
            arrays.append(None)
        elif item is Ellipsis:
            basic.extend([slice(None)] * hidden)
            arrays.extend([None] * hidden)
            axis += hidden
        elif isinstance(item, np.ndarray) and item.ndim:
            basic.append(slice(None))
            arrays.append(item.nonzero()[0] if item.dtype == bool else item)
            axis += 1
        else:
            basic.append(item if isinstance(item, slice) else int(item))
            if isinstance(item, slice):
                arrays.append(None)
            axis += 1
    view = array[(*basic, ...)]
    arrays += [None] * (view.ndim - len(arrays))
    present = [d for d, entry in enumerate(arrays) if entry is not None]
    if not present:
        return view
    chosen = np.broadcast_arrays(*(arrays[d] for d in present))
    rest = [size for d, size in enumerate(view.shape) if d not in present]
    front = present[0] if present == list(range(present[0], present[-1] + 1)) else 0
    out = np.empty((*rest[:front], *chosen[0].shape, *rest[front:]), array.dtype)
    for where in np.ndindex(chosen[0].shape):
        for others in np.ndindex(*rest):
            at = dict(zip(present, (entry[where] for entry in chosen), strict=True))
            others_left = iter(others)
            source = tuple(at[d] if d in at else next(others_left) for d in range(view.ndim))
            out[(*others[:front], *where, *others[front:])] = view[source]
    return out


@given(array_and_index())
def test_reading_agrees_with_a_loop(case):
    array, index = case
    np.testing.assert_array_equal(indexing.advanced(array, index), read_by_loop(array, index))


@given(array_and_index())
def test_an_index_without_arrays_is_a_view(case):
    array, index = case
    out = indexing.advanced(array, index)
    is_basic = not any(isinstance(item, np.ndarray) and item.ndim for item in index)
    if out.size:
        assert np.may_share_memory(out, array) == is_basic


@given(array_and_index())
def test_the_gradient_of_a_read_counts_every_element_as_often_as_it_was_read(case):
    array, index = case
    places = np.arange(array.size).reshape(array.shape)
    read = read_by_loop(places, index)
    cotangent = counted(read.shape)
    expected = np.zeros(array.size)
    for place, value in zip(read.reshape(-1), cotangent.reshape(-1), strict=True):
        expected[place] += value
    np.testing.assert_array_equal(indexing.gradient(array.shape, index, cotangent).reshape(-1), expected)


@given(array_and_index())
def test_writing_reaches_exactly_the_elements_that_reading_reads(case):
    array, index = case
    touched = np.zeros(array.size, bool)
    touched[read_by_loop(np.arange(array.size).reshape(array.shape), index).reshape(-1)] = True
    written = indexing.put_(array.copy(), index, -1.0)
    np.testing.assert_array_equal((written == -1).reshape(-1), touched)


def test_of_repeated_writes_the_last_stays():
    array = indexing.put_(np.zeros(3), np.array([1, 1]), np.array([5.0, 6.0]))
    np.testing.assert_array_equal(array, [0, 6, 0])


def test_an_int_is_no_index_array():
    """NumPy would count the 0 as an index array, see two separated ones and put their dimension in front."""
    array = counted((2, 3, 4, 5))
    index = np.array([0, 1])
    assert indexing.advanced(array, (0, slice(None), index)).shape == (3, 2, 5)
    assert indexing.advanced(array, (slice(None), index, 0)).shape == (2, 2, 5)
    assert indexing.advanced(array, (slice(None), index, slice(None), index)).shape == (2, 2, 4)


def test_bools_add_a_dimension():
    array = counted((2, 3))
    assert indexing.advanced(array, True).shape == (1, 2, 3)
    assert indexing.advanced(array, False).shape == (0, 2, 3)
    assert indexing.advanced(array, (slice(None), True)).shape == (2, 1, 3)


def test_a_mask_may_cover_several_dimensions():
    array = counted((2, 3, 2))
    mask = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_array_equal(indexing.advanced(array, mask), array[mask])
    np.testing.assert_array_equal(indexing.advanced(array[0], (None, mask[0])), array[:1][:, mask[0]])
    assert indexing.gradient(array.shape, mask, np.ones((3, 2))).sum() == 6


def test_byte_arrays_are_masks():
    np.testing.assert_array_equal(indexing.advanced(np.arange(3), np.array([1, 0, 1], np.uint8)), [0, 2])


def test_lists_are_index_arrays_or_tuples():
    array = counted((2, 3, 4))
    np.testing.assert_array_equal(indexing.advanced(array, [1, 0]), array[[1, 0]])
    np.testing.assert_array_equal(indexing.advanced(array, [[0, 1], [2, 1]]), array[[0, 1], [2, 1]])
    np.testing.assert_array_equal(indexing.advanced(array, [0, slice(1, 2)]), array[0, 1:2])


def test_reads_by_index_arrays_are_contiguous_if_the_source_is():
    array = counted((2, 3, 4, 5))
    for index in [(slice(None), np.array([0, 2])), (slice(None), np.array([0]), slice(None), np.array([[1], [2]]))]:
        assert indexing.advanced(array, index).flags.c_contiguous


def test_reads_from_a_permuted_source_keep_its_memory_order():
    """Strides as recorded from PyTorch for arange(120).reshape(2, 3, 4, 5).permute(3, 2, 1, 0)."""
    array = np.arange(120).reshape(2, 3, 4, 5).transpose(3, 2, 1, 0)
    index = np.array([0, 1])
    for key, strides in [
        (index, (24, 1, 4, 12)),
        ((index, index), (6, 1, 3)),
        ((slice(None), index), (1, 15, 5, 30)),
        ((slice(None), index, slice(None), index), (15, 1, 5)),
    ]:
        assert indexing.advanced(array, key).strides == tuple(8 * stride for stride in strides)


ERRORS = [
    (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
    ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
    (np.array([5]), IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    ((slice(None), np.array([0, -4])), IndexError, "index -4 is out of bounds for dimension 0 with size 3"),
    (slice(None, None, -1), ValueError, "step must be greater than zero"),
    (slice(None, None, 0), ValueError, "slice step cannot be zero"),
    (slice(0.5, 1), TypeError, "slice indices must be integers"),
    (1.0, IndexError, "only integers, slices"),
    (np.array([1.0]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
    (np.array([1], np.int16), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
    (
        np.zeros(3, bool),
        IndexError,
        r"The shape of the mask \[3\] at index 0 does not match the shape of the indexed tensor \[2, 3\] at index 0",
    ),
    (
        (np.array([0, 1]), np.array([0, 1, 2])),
        IndexError,
        r"shape mismatch: indexing tensors could not be broadcast together with shapes \[2\], \[3\]",
    ),
]


@pytest.mark.parametrize(("index", "error", "sentence"), ERRORS, ids=[sentence for *_, sentence in ERRORS])
def test_bad_indices_are_refused_in_pytorchs_words(index, error, sentence):
    with pytest.raises(error, match=sentence):
        indexing.advanced(counted((2, 3)), index)


def test_scalars_cannot_be_indexed():
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        indexing.advanced(np.array(3.0), 0)
    with pytest.raises(IndexError, match="slice\\(\\) cannot be applied to a 0-dim tensor"):
        indexing.advanced(np.array(3.0), slice(None))
    assert indexing.advanced(np.array(3.0), None).shape == (1,)


def test_where_nothing_is_read_or_written_indices_are_not_looked_at():
    empty = np.zeros((1, 0))
    assert indexing.advanced(empty, np.array([7])).shape == (1, 0)
    assert indexing.put_(empty, np.array([7]), np.zeros(())).shape == (1, 0)
    with pytest.raises(IndexError, match="index is out of bounds for dimension with size 0"):
        indexing.advanced(empty.T, np.array([7]))


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match=r"expanded size of the tensor \(3\) must match the existing size \(2\)"):
        indexing.put_(counted((2, 3)), 0, np.ones(2))
    with pytest.raises(RuntimeError, match=r"value tensor of shape \[2\] cannot be broadcast to indexing result"):
        indexing.put_(counted((2, 3)), np.array([0, 1]), np.ones(2))


@given(st.data())
def test_rows_with_repeats_are_combined_one_after_the_other(data):
    width = data.draw(st.sampled_from([0, 1, 3, 40]))  # below and above the width where the method changes
    index = np.array(data.draw(st.lists(st.integers(0, 4), max_size=12)), np.int64)
    values = np.random.default_rng(0).standard_normal((len(index), width)).astype(np.float32)
    for ufunc in (np.add, np.multiply, np.maximum):
        expected = counted((5, width), np.float32)
        target = expected.copy()
        for place, row in zip(index, values, strict=True):
            expected[place] = ufunc(expected[place], row)
        indexing.accumulate_rows(target, index, values, ufunc)
        np.testing.assert_array_equal(target, expected)  # bit for bit: the order of the sums is the order of the rows


# ------------------------------------------------------------------------------------------------ gather and scatter


@st.composite
def gather_case(draw):
    shape = draw(shapes)
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    index_shape = [draw(st.integers(1, size)) for size in shape]
    index_shape[dim] = draw(st.integers(1, 5))
    index = draw(hnp.arrays(np.int64, index_shape, elements=st.integers(0, shape[dim] - 1)))
    order = draw(st.permutations(range(len(shape))))
    array = counted([shape[d] for d in order]).transpose(np.argsort(order))  # any memory layout
    return array, dim, index


def coordinates(index, dim):
    for where in np.ndindex(index.shape):
        source = list(where)
        source[dim] = index[where]
        yield where, tuple(source)


@given(gather_case())
def test_gather(case):
    array, dim, index = case
    out = indexing.gather(array, dim, index)
    assert out.shape == index.shape
    assert all(out[where] == array[source] for where, source in coordinates(index, dim))


COMBINE = {
    "sum": lambda a, b: a + b,
    "prod": lambda a, b: a * b,
    "amax": max,
    "amin": min,
}


@given(gather_case())
def test_scatter_writes_in_order(case):
    array, dim, index = case
    src = -counted(index.shape)
    expected = array.copy()
    for where, target in coordinates(index, dim):
        expected[target] = src[where]
    np.testing.assert_array_equal(indexing.scatter(array, dim, index, src), expected)


@given(gather_case(), st.sampled_from([*COMBINE, "mean"]), st.booleans())
def test_scatter_reduce(case, reduce, include_self):
    array, dim, index = case
    src = counted(index.shape)[..., ::-1]
    groups = {}
    for where, target in coordinates(index, dim):
        groups.setdefault(target, [array[target]] if include_self else []).append(src[where])
    expected = array.copy()
    for target, values in groups.items():
        if reduce == "mean":
            expected[target] = sum(values) / len(values)
        else:
            expected[target] = values[0]
            for value in values[1:]:
                expected[target] = COMBINE[reduce](expected[target], value)
    out = indexing.scatter_reduce(array, dim, index, src, reduce, include_self)
    np.testing.assert_allclose(out, expected, rtol=1e-15)
    if reduce == "sum" and include_self:
        np.testing.assert_array_equal(indexing.scatter_add(array, dim, index, src), expected)
        np.testing.assert_array_equal(indexing.scatter(array, dim, index, src, reduce="add"), expected)


def test_scatter_in_place_writes_through_views_of_any_layout():
    base = np.zeros((3, 4))
    indexing.scatter_add_(base.T[::2], 0, np.array([[0, 0, 1], [0, 1, 1]]), np.ones((2, 3)))
    np.testing.assert_array_equal(base, [[2, 0, 0, 0], [1, 0, 1, 0], [0, 0, 2, 0]])


def test_means_of_integers_round_down():
    array = np.array([0, 0])
    out = indexing.scatter_reduce(array, 0, np.array([0, 1]), np.array([-3, 3]), "mean")
    np.testing.assert_array_equal(out, [-2, 1])


def test_gather_refuses_what_does_not_fit():
    array, index = counted((2, 3)), np.array([[0, 1]])
    with pytest.raises(RuntimeError, match="Expected dtype int32/int64 for index"):
        indexing.gather(array, 0, index.astype(np.float32))
    with pytest.raises(RuntimeError, match="same number of dimensions"):
        indexing.gather(array, 0, index[0])
    with pytest.raises(RuntimeError, match="index -1 is out of bounds for dimension 1 with size 3"):
        indexing.gather(array, 1, index - 1)
    with pytest.raises(IndexError, match=r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)"):
        indexing.gather(array, 2, index)
    with pytest.raises(RuntimeError, match="Size does not match at dimension 1"):
        indexing.gather(array, 0, np.zeros((1, 4), np.int64))


# ------------------------------------------------------------------------------------------------ slices


@st.composite
def slice_case(draw):
    shape = draw(shapes)
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    index = draw(hnp.arrays(np.int64, draw(st.integers(1, 5)), elements=st.integers(0, shape[dim] - 1)))
    source_shape = list(shape)
    source_shape[dim] = len(index)
    return counted(shape), dim, index, counted(source_shape)[..., ::-1]


@given(slice_case())
def test_index_select(case):
    array, dim, index, _ = case
    np.testing.assert_array_equal(indexing.index_select(array, dim, index), np.take(array, index, axis=dim))
    strided = np.asfortranarray(array)
    assert indexing.index_select(strided, dim, index).flags.c_contiguous
    np.testing.assert_array_equal(indexing.index_select(strided, dim, index), np.take(array, index, axis=dim))


@given(slice_case(), st.sampled_from([1, 2, -0.5]))
def test_index_add(case, alpha):
    array, dim, index, source = case
    expected = array.copy()
    for k, place in enumerate(index):
        np.moveaxis(expected, dim, 0)[place] += alpha * np.moveaxis(source, dim, 0)[k]
    np.testing.assert_array_equal(indexing.index_add(array, dim, index, source, alpha), expected)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_large_slices_are_added_along_any_dimension(dim, dtype):
    rng = np.random.default_rng(0)
    target, index = counted((30, 40, 50), dtype), rng.integers(0, 30, 60)
    source = counted([60 if d == dim else n for d, n in enumerate(target.shape)], dtype)
    wanted = target.copy()
    np.add.at(wanted, (slice(None),) * dim + (index,), source)
    np.testing.assert_array_equal(indexing.index_add(target, dim, index, source), wanted)
    turned = np.ascontiguousarray(target.T).T
    indexing.index_add_(turned, dim, index, source)
    np.testing.assert_array_equal(turned, wanted)


@given(slice_case(), st.sampled_from(["prod", "amax", "amin", "mean"]), st.booleans())
def test_index_reduce_is_scatter_reduce_with_whole_slices(case, reduce, include_self):
    array, dim, index, source = case
    everywhere = np.broadcast_to(np.moveaxis(index.reshape(-1, *(1,) * (array.ndim - 1)), 0, dim), source.shape)
    expected = indexing.scatter_reduce(array, dim, everywhere, source, reduce, include_self)
    out = indexing.index_reduce(array, dim, index, source, reduce, include_self)
    np.testing.assert_allclose(out, expected, rtol=1e-15)


@given(slice_case())
def test_index_copy_and_index_fill(case):
    array, dim, index, source = case
    copied, filled = array.copy(), array.copy()
    for k, place in enumerate(index):
        np.moveaxis(copied, dim, 0)[place] = np.moveaxis(source, dim, 0)[k]
        np.moveaxis(filled, dim, 0)[place] = 7
    np.testing.assert_array_equal(indexing.index_copy(array, dim, index, source), copied)
    np.testing.assert_array_equal(indexing.index_fill(array, dim, index, 7), filled)
    np.testing.assert_array_equal(indexing.index_fill(array, dim, index - array.shape[dim], 7), filled)


def test_take_and_put_see_a_vector():
    array = counted((2, 3)).T
    index = np.array([[0, -1], [2, 2]])
    np.testing.assert_array_equal(indexing.take(array, index), array.reshape(-1)[index])
    out = indexing.put_elements(array, index, np.array([[1.0, 2], [3, 4]]), accumulate=True)
    np.testing.assert_array_equal(out - array, [[1, 0], [7, 0], [0, 2]])
    with pytest.raises(IndexError, match="tried to access index 6 on a tensor of 6 elements"):
        indexing.take(array, np.array([6]))


def test_take_along_dim_broadcasts():
    array = counted((2, 3))
    np.testing.assert_array_equal(indexing.take_along_dim(array, np.array([[2]]), 1), array[:, 2:])
    np.testing.assert_array_equal(indexing.take_along_dim(array, np.array([5, 0])), [6, 1])


# ------------------------------------------------------------------------------------------------ masks and embeddings


@given(st.data())
def test_masks(data):
    shape = data.draw(shapes)
    array, mask = counted(shape), data.draw(hnp.arrays(bool, shape))
    chosen = [array[where] for where in np.ndindex(shape) if mask[where]]
    np.testing.assert_array_equal(indexing.masked_select(array, mask), chosen)
    filled = indexing.masked_fill(array, mask, 0)
    assert all(filled[where] == (0 if mask[where] else array[where]) for where in np.ndindex(shape))
    source = -counted((array.size,))
    scattered = indexing.masked_scatter(array, mask, source)
    np.testing.assert_array_equal(scattered[mask], source[: len(chosen)])
    np.testing.assert_array_equal(scattered[~mask], array[~mask])
    np.testing.assert_array_equal(indexing.where(mask, array, source[0]), np.choose(mask, [source[0], array]))
    coordinates_ = [where for where in itertools.product(*map(range, shape)) if mask[where]]
    np.testing.assert_array_equal(indexing.nonzero(mask), np.array(coordinates_).reshape(-1, len(shape)))


def test_masks_broadcast_both_ways_but_not_in_place():
    assert indexing.masked_fill(counted((3,)), np.ones((2, 1), bool), 0).shape == (2, 3)
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        indexing.masked_fill_(counted((3,)), np.ones((2, 1), bool), 0)
    with pytest.raises(RuntimeError, match="only supports boolean masks"):
        indexing.masked_fill(counted((3,)), np.ones(3), 0)


def test_nonzero_of_a_scalar():
    assert indexing.nonzero(np.array(3)).shape == (1, 0)
    assert indexing.nonzero(np.array(0)).shape == (0, 0)
    np.testing.assert_array_equal(indexing.nonzero(np.array(3), as_tuple=True)[0], [0])


@given(hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=5), elements=st.integers(0, 3)), st.integers(-1, 3))
def test_embedding_and_its_gradient(indices, padding_idx):
    weight = counted((4, 3))
    np.testing.assert_array_equal(indexing.embedding(weight, indices), weight[indices])
    cotangent = counted((*indices.shape, 3))
    counts = np.bincount(indices.reshape(-1), minlength=4)
    for by_frequency in (False, True):
        expected = np.zeros((4, 3))
        for where in np.ndindex(indices.shape):
            row = indices[where]
            if row != padding_idx:
                expected[row] += cotangent[where] / (counts[row] if by_frequency else 1)
        out = indexing.embedding_gradient(cotangent, indices, 4, padding_idx, by_frequency)
        np.testing.assert_allclose(out, expected, rtol=1e-14)


def test_embedding_renorm_shrinks_only_the_long_rows_that_are_used():
    weight = np.array([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    indexing.embedding_renorm_(weight, np.array([0, 1, 0]), 1.0)
    np.testing.assert_allclose(weight, [[0.6, 0.8], [0.3, 0.4], [30.0, 40.0]], rtol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=10)
@given(index=hnp.arrays(np.int64, 6, elements=st.integers(0, 3)))
def test_every_dtype(dtype, index):
    array = counted((4, 2), dtype)
    rows = counted((6, 2), dtype)
    assert indexing.advanced(array, index).dtype == dtype
    out = indexing.index_add(array, 0, index, rows)
    assert out.dtype == dtype
    expected = array.copy()
    for place, row in zip(index, rows, strict=True):
        expected[place] = expected[place] + row
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(indexing.scatter_add(array, 0, np.stack([index, index], 1), rows), expected)
