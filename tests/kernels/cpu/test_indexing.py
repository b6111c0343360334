"""Rows of a table, looked up and added to by all threads."""

import numpy as np
import pytest

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
    indexing.accumulate_rows(target, index, values)
    np.testing.assert_array_equal(target, wanted)


def test_other_layouts_and_functions_are_the_references():
    index = np.random.default_rng(2).integers(0, 50, 200)
    for make in (lambda: numbers((100, 40), np.float32)[::2], lambda: numbers((50, 40), np.float16)):
        target, other, values = make(), make().copy(), numbers((200, 40), np.float32, 1).astype(make().dtype)
        indexing.accumulate_rows(target, index, values)
        reference.accumulate_rows.reference(other, index, values)
        np.testing.assert_array_equal(target, other)
    target, other, values = numbers((50, 40), np.float32), numbers((50, 40), np.float32), numbers((200, 40), np.float32)
    indexing.accumulate_rows(target, index, values, np.maximum)
    reference.accumulate_rows.reference(other, index, values, np.maximum)
    np.testing.assert_array_equal(target, other)


def test_an_index_outside_is_refused():
    with pytest.raises(IndexError):
        indexing.accumulate_rows(numbers((50, 40), np.float32), np.array([3, 50]), numbers((2, 40), np.float32))
