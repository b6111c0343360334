"""Copies by the threads: which are done, and that they are copies."""

import numpy as np
import pytest

from wengert.kernels import cpu
from wengert.kernels.cpu import copying

cpu.begin()
RNG = np.random.default_rng(0)


def copied(source):
    """A copy in rows, made by the threads."""
    target = np.empty(source.shape, source.dtype)
    assert copying.fill(target, source) is target
    return target


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i2", "i8", "?", "c8", "f2"])
@pytest.mark.parametrize("extent", [16, 17, 63, 64, 65, 200])
def test_backwards(dtype, extent):
    array = RNG.integers(0, 100, (5, extent, 3 + extent)).astype(dtype)
    for seen in (array[:, :, ::-1], array[::-1, ::-1, ::-1], array[:, ::-1, 2:][:, :, ::-1], array[:, ::-1]):
        np.testing.assert_array_equal(copied(seen), seen)


@pytest.mark.parametrize("rows", [16, 17, 31, 64, 65, 130])
@pytest.mark.parametrize("columns", [16, 19, 64, 100, 129])
@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_an_axis_turned_into_another(rows, columns, dtype):
    array = RNG.integers(0, 1000, (2, 3, rows, 2 * columns)).astype(dtype)
    within = array[:, :, :, columns // 2 : columns // 2 + columns]
    for seen in (
        array.swapaxes(2, 3), within.swapaxes(2, 3), within[1, ::-1].swapaxes(1, 2), within[0, 1].T,
        within[:, :, ::-1].swapaxes(2, 3), array.transpose(1, 0, 3, 2), array.transpose(0, 3, 1, 2),
    ):  # fmt: skip
        np.testing.assert_array_equal(copied(seen), seen)


def test_what_is_left_to_the_reference():
    array = RNG.standard_normal((64, 64)).astype("f4")
    for source in (array[::2].T[:16].T, array[:, ::2], array[:, ::-1].T, array[:8].T, array.astype("f8").T):
        target = np.empty(source.shape, source.dtype)
        if source.strides[-1] != source.itemsize:
            assert copying.fill(target, source) is None
    assert copying.fill(array.T, array) is None  # what is written would be read again


def test_places_between_are_left_alone():
    target, source = np.zeros((100, 200), "f4"), RNG.standard_normal((80, 60)).astype("f4")
    assert copying.fill(target[10:70, 50:130], source.T) is not None
    np.testing.assert_array_equal(target[10:70, 50:130], source.T)
    assert np.count_nonzero(target) == np.count_nonzero(source)
