import numpy as np
import pytest

import wengert
from wengert.kernels import choices
from wengert.kernels.sums import BLOCK, add, add_rows, add_to, plus

SHAPES = [(1, 3), (BLOCK, 5), (BLOCK + 1, 5), (1000, 7), (BLOCK**2 + BLOCK + 1, 2), (300, 4, 3), (0, 4), (500,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "c8"])
def test_rows_are_all_added(shape, dtype):
    array = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    total = add_rows(array)
    assert total.dtype == np.add.reduce(array, 0).dtype and np.array_equal(total, array.sum(0))


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_any_axes_are_added(axes, order, keepdims):
    array = np.asarray(np.random.default_rng(0).integers(-9, 9, (70, 80, 3)).astype("f4"), order=order)
    total = add(array, axes, keepdims)
    assert np.array_equal(total, array.sum(axes, keepdims=keepdims))
    assert np.shape(total) == array.sum(axes, keepdims=keepdims).shape


def test_a_long_column_is_added_as_exactly_as_a_row():
    column = np.random.default_rng(0).random((200_000, 3), np.float32)
    exact = column.sum(0, dtype=np.float64)
    assert np.abs(add_rows(column) / exact - 1).max() < 5e-7
    assert np.abs(np.add.reduce(column, 0) / exact - 1).max() > 5e-6  # one after the other


def test_infinity_and_nan_stay_in_their_columns():
    array = np.ones((200, 3), np.float32)
    array[77, 0], array[150, 1] = np.inf, np.nan
    total = add_rows(array)
    assert total[0] == np.inf and np.isnan(total[1]) and total[2] == 200


@pytest.mark.parametrize("shape", [(), (3,), (300, 200), (200, 300)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "c8"])
def test_gradients_that_meet_are_added(shape, dtype):
    rng = np.random.default_rng(0)
    a, b = (np.asarray(rng.integers(-9, 9, shape)).astype(dtype) for _ in range(2))
    for first, second in ((a, b), (a.transpose(), b.transpose()), (a, b.astype(complex)), (a, b.dtype.type(2))):
        total = plus(first, second)
        assert np.array_equal(total, first + second) and np.shape(total) == np.shape(first + second)
    kept = a.copy(order="K")
    add_to(kept, b)
    assert np.array_equal(kept, a + b)


def test_a_sum_is_written_over_an_array_that_only_the_caller_holds():
    numbers = np.arange(1 << 16, dtype="f4")

    wengert.ones(1 << 16)  # from here on sizes matter
    a = numbers.copy()
    total = plus(a, numbers)
    assert (total is a) == choices.state.active
    np.testing.assert_array_equal(total, numbers * 2)
    held = numbers.copy()
    alias = held
    view = held[:10]
    assert plus(held, numbers) is not held
    np.testing.assert_array_equal(held, numbers)
    del alias
    assert plus(held, numbers) is not held
    np.testing.assert_array_equal(view, numbers[:10])


def test_gradients_that_pass_to_several_inputs_stay_apart():
    x, y, c = (wengert.arange(1 << 16, dtype=wengert.float32).requires_grad_() for _ in range(3))
    total = x + y  # hands one array to both
    (total + x + x * 2).sum().backward()
    (c.sum() + (c + c).sum()).backward()
    assert (x.grad == 4).all()
    assert (y.grad == 1).all()
    assert (c.grad == 3).all()
    given = wengert.ones(1 << 16)
    (x + x * 1 + x * 1).backward(given)
    assert (given == 1).all()
