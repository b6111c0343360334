"""Copies between places of any strides, by NumPy or by all threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert
from wengert.kernels import copies, shape

DTYPES = ["f4", "f8", "i1", "i2", "i8", "?", "c8", "c16", "f2"]


@pytest.fixture(autouse=True, scope="module")
def large_arrays_matter():
    wengert.ones(1 << 16)


def numbered(shape, dtype):
    return (np.arange(np.prod(shape)) % 127).reshape(shape).astype(dtype)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.permutations(range(4)), st.permutations(range(4)),
       st.sampled_from(DTYPES), st.booleans())  # fmt: skip
def test_any_strides(shape, order, target_order, dtype, backwards):
    shape = [n * (3 if len(shape) < 4 else 1) for n in shape]
    axes, target_axes = ([i for i in o if i < len(shape)] for o in (order, target_order))
    source = numbered([shape[i] for i in axes], dtype).transpose(np.argsort(axes))
    source = source[::-1] if backwards else source
    target = np.empty([shape[i] for i in target_axes], dtype).transpose(np.argsort(target_axes))
    assert copies.fill(target, source) is target
    np.testing.assert_array_equal(target, source)


def test_what_lies_between_is_left():
    target = np.zeros((300, 400), "f4")
    copies.fill(target[::2, 100:300], np.ones((150, 200), "f4"))
    assert target.sum() == 150 * 200
    assert (target[::2, 100:300] == 1).all()


def test_overlapping_places():
    moved = numbered((300, 400), "f4")
    wanted = moved.copy()
    wanted[1:] = wanted[:-1].copy()
    copies.fill(moved[1:], moved[:-1])
    np.testing.assert_array_equal(moved, wanted)


def test_an_element_for_a_row():
    target = np.empty((300, 400), "f4")
    column = numbered((300, 1), "f4")
    copies.fill(target, np.broadcast_to(column, target.shape))
    np.testing.assert_array_equal(target, np.broadcast_to(column, target.shape))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_joined(axis, dtype):
    array = numbered((40, 41, 42), dtype)
    arrays = [array, numbered((40, 42, 41), dtype).swapaxes(1, 2), array[::-1]]
    found = copies.joined(arrays, axis)
    np.testing.assert_array_equal(found, np.concatenate(arrays, axis))
    assert found.flags.c_contiguous
    mixed = [arrays[0], np.ones((40, 41, 42), "f8")]
    assert copies.joined(mixed, axis).dtype == np.concatenate(mixed, axis).dtype
    with pytest.raises(ValueError, match="dimension"):
        copies.joined([numbered((300, 200), dtype), numbered((200, 301), dtype)], axis % 2)


@pytest.mark.parametrize("shift", [0, 1, -1, 7, 40, 41, 1000, -1000])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rolled(shift, axis):
    for array in (numbered((40, 41, 42), "f4"), numbered((2, 3, 4), "f4"), numbered((0, 2, 3), "f4")):
        np.testing.assert_array_equal(copies.rolled(array, shift, axis), np.roll(array, shift, axis))


def test_reshaped():
    array = numbered((12, 4, 64, 32), "f4").transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(shape.reshape_to(array, (12, 64, 128)), array.reshape(12, 64, 128))
    seen = numbered((200, 300), "f4")[:, :200]
    assert np.shares_memory(shape.reshape_to(seen, (2, 100, 200)), seen)
