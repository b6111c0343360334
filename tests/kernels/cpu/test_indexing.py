"""Rows of a table, looked up and added to by all threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import cpu
from wengert.kernels import indexing as reference
from wengert.kernels.cpu import indexing

cpu.begin()


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("width", [1, 7, 8, 15, 16, 33, 100])
def test_rows_are_looked_up(width, dtype):
    table = (numbers((500, width), np.float64) * 100).astype(dtype)
    index = np.random.default_rng(1).integers(0, 500, (9, 11))
    np.testing.assert_array_equal(indexing.take_rows(table, index), table[index])
    np.testing.assert_array_equal(indexing.take_rows(table[::2], index // 2), table[::2][index // 2])
    np.testing.assert_array_equal(indexing.take_rows(table, index.astype(np.int32).T), table[index.T])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 7, 8, 15, 16, 17, 33, 100])
def test_repeats_are_added_in_order(width, dtype):
    target, values = numbers((50, width), dtype), numbers((2000, width), dtype, 1)
    index = np.random.default_rng(2).integers(0, 50, 2000)
    wanted = target.copy()
    for place, value in zip(index, values, strict=True):
        wanted[place] += value
    found = indexing.accumulate_rows(target, index, values)
    if width < 8:
        assert found is None  # left to the reference
        reference.accumulate_rows(target, index, values)
    np.testing.assert_array_equal(target, wanted)


def test_other_layouts_and_functions_are_left_to_the_reference():
    index = np.random.default_rng(2).integers(0, 50, 200)
    for make in (lambda: numbers((100, 40), np.float32)[::2], lambda: numbers((50, 40), np.float16)):
        target, values = make(), numbers((200, 40), np.float32, 1).astype(make().dtype)
        before = target.copy()
        assert indexing.accumulate_rows(target, index, values) is None
        np.testing.assert_array_equal(target, before)
    target, values = numbers((50, 40), np.float32), numbers((200, 40), np.float32)
    assert indexing.accumulate_rows(target, index, values, np.maximum) is None


def test_an_index_outside_is_refused():
    with pytest.raises(IndexError):
        indexing.accumulate_rows(numbers((50, 40), np.float32), np.array([3, 50]), numbers((2, 40), np.float32))


# --- one index for each element ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 3, 9, 17, 40]), min_size=1, max_size=3), st.data(),
    st.sampled_from([np.float32, np.float64, np.int64, np.int16, np.uint8, np.bool_]), st.booleans(),
)  # fmt: skip
def test_elements_along_a_dimension(shape, data, dtype, expanded):
    dim, k = data.draw(st.integers(0, len(shape) - 1)), data.draw(st.sampled_from([1, 5, 23]))
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) * 50).astype(dtype)
    index = rng.integers(0, shape[dim], (*shape[:dim], k, *shape[dim + 1 :]))
    np.testing.assert_array_equal(indexing.gather(x, dim, index), np.take_along_axis(x, index, dim))
    src = (rng.standard_normal(index.shape) * 50).astype(dtype)
    if expanded:
        src = np.broadcast_to(src.reshape(-1)[:1].reshape((1,) * src.ndim), index.shape)
    for adding in (False, True):
        found, expected = x.copy(), x.copy()
        if not indexing.scatter(found, dim, index, src, adding):
            assert adding and dtype not in (np.float32, np.float64)
            continue
        (reference.scatter_add_ if adding else reference.scatter_)(expected, dim, index, src)
        np.testing.assert_array_equal(found, expected)  # the last write stays, sums are in order: the same bits


@pytest.mark.parametrize("wrong", [-1, 5])
@pytest.mark.parametrize("dim", [0, 1])
def test_an_index_beyond_the_ends_is_left_to_the_reference(dim, wrong):
    x, index = np.zeros((5, 5), np.float32), np.zeros((5, 5), np.int64)
    index[3, 4] = wrong
    assert indexing.gather(x, dim, index) is None
    assert not indexing.scatter(x, dim, index, x.copy(), True)
    assert not x.any()


def test_a_source_in_the_memory_written_to_is_left_to_the_reference():
    x = np.zeros((4, 4), np.float32)
    assert not indexing.scatter(x, 0, np.zeros((2, 4), np.int64), x[:2], True)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i1", "i4", "i8", "u1"])
@pytest.mark.parametrize("shape", [(40, 50), (50, 40), (3, 17, 33), (2, 3, 5, 100)])
def test_triangles(shape, dtype):
    matrices = (100 * numbers(shape, np.float64)).astype(dtype)
    for seen in (matrices, matrices[..., ::-1], matrices[..., 1:, 2:]):
        for diagonal in (-1000, -7, -1, 0, 1, 20, 1 << 40):
            np.testing.assert_array_equal(indexing.triangle(seen, diagonal, True), np.tril(seen, min(diagonal, 1000)))
            np.testing.assert_array_equal(indexing.triangle(seen, diagonal, False), np.triu(seen, min(diagonal, 1000)))


@pytest.mark.parametrize("bad", [300, -1])
def test_an_index_outside_is_found_before_anything_is_written(bad):
    target, src = numbers((300, 200), np.float32), numbers((300, 200), np.float32, 1)
    index = np.zeros((300, 200), np.int64)
    index[-1, -1] = bad
    before = target.copy()
    for write in (reference.scatter_, reference.scatter_add_):
        assert not indexing.scatter(target, 0, index, src, write is reference.scatter_add_)
        with pytest.raises((IndexError, RuntimeError)):
            write(target, 0, index, src)
        np.testing.assert_array_equal(target, before)
