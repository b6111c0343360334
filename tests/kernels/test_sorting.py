"""Sorting kernels against Python's own sort, with NaN taken as greater than every number."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wengert.kernels import sorting

nan, inf = math.nan, math.inf
values = st.sampled_from([0.0, 1.0, 2.0, -1.0, nan, inf, -inf])
matrices = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), elements=values)
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int64, np.uint8, np.bool_]


def rank(value):
    return (1, 0.0) if math.isnan(value) else (0, float(value))


def order(vector, descending=False):
    """Stable; for descending order the ranks are negated, not the result reversed: ties stay in place."""
    sign = -1 if descending else 1
    return sorted(range(len(vector)), key=lambda k: tuple(sign * part for part in rank(vector[k])))


def along(function, array, dim):
    """Apply a function from vectors to vectors along a dimension."""
    return np.apply_along_axis(lambda vector: np.asarray(function(vector)), dim, array)


@given(matrices, st.data())
def test_sort_is_stable_and_puts_nan_at_the_large_end(array, data):
    dim, descending = data.draw(st.integers(-array.ndim, array.ndim - 1)), data.draw(st.booleans())
    values, indices = sorting.sort(array, dim, descending=descending)
    np.testing.assert_array_equal(indices, along(lambda v: order(v, descending), array, dim))
    np.testing.assert_array_equal(values, np.take_along_axis(array, indices, dim))


@given(matrices, st.data())
def test_topk_is_the_beginning_of_a_sort(array, data):
    dim, largest = data.draw(st.integers(0, array.ndim - 1)), data.draw(st.booleans())
    k = data.draw(st.integers(0, array.shape[dim]))
    values, indices = sorting.topk(array, k, dim, largest)
    expected = along(lambda v: np.array(order(v, largest)[:k], int), array, dim)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(array, expected, dim))


@pytest.mark.parametrize("largest", [True, False])
def test_topk_of_many(largest):
    array = np.random.default_rng(0).permutation(6000).reshape(2, 3000).astype(np.float32)
    array[0, 7] = nan
    array[1] //= 1000  # many ties
    values, indices = sorting.topk(array, 5, 1, largest)
    expected = np.stack([order(row, largest)[:5] for row in array])
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(array, expected, 1))


@given(matrices, st.data())
def test_selection_by_rank(array, data):
    dim = data.draw(st.integers(0, array.ndim - 1))
    k = data.draw(st.integers(1, array.shape[dim]))
    values, indices = sorting.kthvalue(array, dim, k=k)
    np.testing.assert_array_equal(indices, along(lambda v: order(v)[k - 1], array, dim))

    def median(vector):
        ranked = order(vector)
        nans = [k for k in ranked if math.isnan(vector[k])]
        return nans[0] if nans else ranked[(len(ranked) - 1) // 2]

    def nanmedian(vector):
        ranked = order(vector)
        numbers = [k for k in ranked if not math.isnan(vector[k])]
        return numbers[(len(numbers) - 1) // 2] if numbers else ranked[0]

    for function, expected in [(sorting.median, median), (sorting.nanmedian, nanmedian)]:
        values, indices = function(array, dim, keepdim=True)
        expected = np.expand_dims(along(expected, array, dim), dim)
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(values, np.take_along_axis(array, expected, dim))
    np.testing.assert_array_equal(sorting.median_of_all(array), sorting.median(array.reshape(-1))[0])
    np.testing.assert_array_equal(
        sorting.median_of_all(array, ignore_nan=True), sorting.nanmedian(array.reshape(-1))[0]
    )


def test_the_median_of_an_even_number_is_the_lower_one():
    assert sorting.median(np.array([4.0, 1.0, 3.0, 2.0]))[0] == 2
    assert np.isnan(sorting.median_of_all(np.empty(0, np.float32)))


@given(hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=6), elements=st.integers(0, 3)), st.integers(0, 1))
def test_mode_is_the_smallest_of_the_most_frequent_and_its_last_place(array, dim):
    dim = min(dim, array.ndim - 1)

    def mode(vector):
        vector = vector.tolist()
        best = min(vector, key=lambda value: (-vector.count(value), value))
        return len(vector) - 1 - vector[::-1].index(best)

    values, indices = sorting.mode(array, dim)
    np.testing.assert_array_equal(indices, along(mode, array, dim))
    np.testing.assert_array_equal(values, np.take_along_axis(array, np.expand_dims(indices, dim), dim).squeeze(dim))


@given(matrices, st.data())
def test_running_extremes_take_the_latest_of_equals_and_keep_nan(array, data):
    dim = data.draw(st.integers(0, array.ndim - 1))

    def running(better):
        def indices(vector):
            best, out = 0, []
            for k, value in enumerate(vector):
                if math.isnan(value) or (not math.isnan(vector[best]) and better(value, vector[best])):
                    best = k
                out.append(best)
            return out

        return indices

    for function, better in [(sorting.cummax, lambda a, b: a >= b), (sorting.cummin, lambda a, b: a <= b)]:
        values, indices = function(array, dim)
        expected = along(running(better), array, dim)
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(values, np.take_along_axis(array, expected, dim))


@given(hnp.arrays(np.int64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.integers(-1, 2)), st.data())
def test_unique(array, data):
    values, inverse, counts = sorting.unique(array, return_inverse=True, return_counts=True)
    flat = array.reshape(-1).tolist()
    assert values.tolist() == sorted(set(flat))
    assert counts.tolist() == [flat.count(value) for value in values.tolist()]
    np.testing.assert_array_equal(values[inverse], array)
    dim = data.draw(st.integers(0, array.ndim - 1))
    values, inverse, counts = sorting.unique(array, return_inverse=True, return_counts=True, dim=dim)
    slices = [row.tolist() for row in np.moveaxis(array, dim, 0)]
    assert np.moveaxis(values, dim, 0).tolist() == sorted({str(row): row for row in slices}.values())
    np.testing.assert_array_equal(np.take(values, inverse, axis=dim), array)
    assert counts.sum() == array.shape[dim]


@given(hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=5), elements=st.integers(0, 1)))
def test_unique_consecutive(array):
    values, inverse, counts = sorting.unique_consecutive(array, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(np.repeat(values, counts), array.reshape(-1))
    np.testing.assert_array_equal(values[inverse], array)
    assert (values[1:] != values[:-1]).all()
    values, inverse, counts = sorting.unique_consecutive(array, return_inverse=True, return_counts=True, dim=0)
    np.testing.assert_array_equal(np.repeat(values, counts, axis=0), array)
    np.testing.assert_array_equal(values[inverse], array)


def test_every_nan_is_unique():
    values, inverse, counts = sorting.unique(np.array([nan, 1.0, nan]), return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(values, [1, nan, nan])
    assert inverse.tolist() == [1, 0, 2]
    assert counts.tolist() == [1, 1, 1]


def test_unique_needs_slices():
    with pytest.raises(RuntimeError, match="There are 0 sized dimensions"):
        sorting.unique(np.empty((3, 0)), dim=0)
    assert sorting.unique(np.empty((3, 0)), dim=1)[0].shape == (3, 0)


@given(st.lists(st.integers(0, 5), max_size=6), st.lists(st.integers(-1, 6), max_size=4), st.booleans())
def test_searchsorted(sequence, wanted, right):
    sequence = sorted(sequence)
    expected = [sum(x <= w if right else x < w for x in sequence) for w in wanted]
    keys, wanted = np.array(sequence, np.int64), np.array(wanted, np.int64)
    assert sorting.searchsorted(keys, wanted, right=right).tolist() == expected
    assert sorting.bucketize(wanted, keys, right=right, out_int32=True).dtype == np.int32
    batched = sorting.searchsorted(np.stack([keys, keys]), np.stack([wanted, wanted]), right=right)
    assert batched.tolist() == [expected, expected]
    shuffled = np.random.default_rng(0).permutation(len(keys))
    out = sorting.searchsorted(keys[shuffled], wanted, right=right, sorter=np.argsort(keys[shuffled], kind="stable"))
    assert out.tolist() == expected


def test_searchsorted_with_nan():
    """Places as recorded from PyTorch: NaN goes behind everything."""
    wanted = np.array([2.0, nan, 0.0])
    assert sorting.searchsorted(np.array([1.0, 2.0, 2.0]), wanted).tolist() == [1, 3, 0]
    assert sorting.searchsorted(np.array([1.0, 2.0, 2.0, nan]), wanted).tolist() == [1, 4, 0]
    assert sorting.searchsorted(np.array([1.0, 2.0, 2.0, nan]), wanted, right=True).tolist() == [4, 4, 0]


def test_searchsorted_refuses_contradictions():
    with pytest.raises(RuntimeError, match="side and right can't be set to opposites"):
        sorting.searchsorted(np.arange(3), np.array([1]), right=True, side="left")
    with pytest.raises(RuntimeError, match="first N-1 dimensions"):
        sorting.searchsorted(np.arange(4).reshape(2, 2), np.array([1]))


def test_bincount():
    assert sorting.bincount(np.array([1, 2, 2])).tolist() == [0, 1, 2]
    out = sorting.bincount(np.array([1, 2, 2]), np.array([0.5, 1, 2], np.float32), minlength=5)
    assert (out.tolist(), out.dtype) == ([0, 0.5, 3, 0, 0], np.float32)
    assert sorting.bincount(np.array([0]), np.array([1])).dtype == np.float64
    with pytest.raises(RuntimeError, match="only supports 1-d non-negative integral inputs"):
        sorting.bincount(np.array([-1]))


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20), st.integers(1, 5))
def test_histogram_counts_what_lies_between_its_edges(data, bins):
    array = np.array(data, np.float64)
    hist, edges = sorting.histogram(array, bins, range=(-1.0, 1.0))
    expected = [
        sum(low <= x < high or (k == bins - 1 and x == high) for x in data)
        for k, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    assert hist.tolist() == expected
    weighted, _ = sorting.histogram(array, edges, weight=np.full(len(data), 0.5))
    assert weighted.tolist() == [count / 2 for count in expected]
    assert sorting.histc(array, bins, -1, 1).sum() == sum(expected)
    if sum(expected):
        density, _ = sorting.histogram(array, bins, range=(-1.0, 1.0), density=True)
        assert (density * np.diff(edges)).sum() == pytest.approx(1)


def test_histogram_of_points():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    hist, edges = sorting.histogramdd(points, [2, 2])
    assert hist.tolist() == [[1, 0], [1, 1]]
    assert [edge.tolist() for edge in edges] == [[0, 0.5, 1], [0, 1, 2]]


def test_histc_moves_coinciding_edges_apart():
    assert sorting.histc(np.array([1.0, 1.0]), 3).tolist() == [0, 2, 0]
    with pytest.raises(RuntimeError, match="max must be larger than min"):
        sorting.histc(np.array([1.0]), 3, 2, 1)
    with pytest.raises(RuntimeError, match="is not finite"):
        sorting.histc(np.array([1.0, inf]), 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    array = np.array([[3, 0, 1], [1, 1, 0]]).astype(dtype)
    for function in (sorting.sort, sorting.mode, sorting.cummax, sorting.cummin):
        values, indices = function(array, 1)
        assert (values.dtype, indices.dtype) == (dtype, np.int64)
    assert sorting.msort(array).dtype == dtype
    assert sorting.unique(array)[0].tolist() == np.unique(array.astype(np.float64)).astype(dtype).tolist()
    if dtype is not np.bool_:
        assert sorting.topk(array, 1)[0].tolist() == [[3], [1]]
        assert sorting.median(array)[0].tolist() == [1, 1]


def test_scalars_are_vectors_of_one_element():
    scalar = np.array(3.0)
    for function in (sorting.sort, sorting.median, sorting.mode, sorting.cummax):
        values, indices = function(scalar, -1)
        assert (values.shape, indices.shape) == ((), ())
        assert (values, indices) == (3, 0)


def test_errors_name_the_function():
    with pytest.raises(RuntimeError, match="selected index k out of range"):
        sorting.topk(np.arange(2), 3)
    with pytest.raises(RuntimeError, match="selected number k out of range for dimension 0"):
        sorting.kthvalue(np.arange(2), 0, k=3)
    with pytest.raises(IndexError, match=r"mode\(\): Expected reduction dim 0 to have non-zero size"):
        sorting.mode(np.empty((0, 2)), 0)
    with pytest.raises(RuntimeError, match="does not support complex dtypes"):
        sorting.sort(np.array([1j]))
