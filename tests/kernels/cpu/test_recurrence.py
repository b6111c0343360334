"""The compiled loops of recurrent cells give what the reference gives, with every combination of arriving gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import recurrence as reference
from wengert.kernels.cpu import recurrence as fast
from wengert.kernels.recurrence import CELLS, Walk

close = {"rtol": 1e-3, "atol": 1e-4}


def drawn(seed, name, walk, units):
    """(gates, w_hh, b_hh, h0, c0) for a cell."""
    rng, wide = np.random.default_rng(seed), len(CELLS[name].bends) * units
    draw = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
    state = draw(walk.batch, units), draw(walk.batch, units) if name == "LSTM" else None
    # Only a gate that takes its product apart needs the bias; a weight of this size keeps Elman's cells from growing.
    bias = draw(wide) if name == "GRU" else None
    return draw(walk.rows, wide), draw(wide, units) / np.float32(units**0.5), bias, *state


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, **close)


walks = st.builds(
    Walk, st.lists(st.integers(1, 9), min_size=1, max_size=5).map(lambda sizes: sorted(sizes, reverse=True))
    | st.tuples(st.integers(1, 9), st.integers(1, 5)).map(lambda t: [t[0]] * t[1]), st.booleans(),
)  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=30, deadline=None)
@given(walks, st.sampled_from([1, 7, 16, 17, 32, 40, 66]), st.tuples(*[st.booleans()] * 3), st.integers(0, 99))
def test_outputs_and_gradients(name, walk, units, arriving, seed):
    cell = CELLS[name]
    given = drawn(seed, name, walk, units)
    _, w_hh, _, h0, c0 = given
    expected = reference.forward(cell, walk, *given)
    assert_same(fast.forward(cell, walk, *given), expected)
    rng = np.random.default_rng(seed + 1)
    arrived = [
        rng.standard_normal((rows, units), dtype=np.float32) if there else None
        for rows, there in zip((walk.rows, walk.batch, walk.batch), arriving, strict=True)
    ]
    if name != "LSTM":
        arrived[2] = None
    kept = (cell, walk, arrived, w_hh, h0, c0, *expected)
    slow = reference.backward_steps(*kept, walk.before(h0, expected[0]))
    found = fast.backward(*kept)
    assert_same(found[:3], slow[:3])
    if name == "LSTM":
        assert_same(found[3:], slow[3:])
    again = fast.backward(*kept)
    for a, b in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_saturated_and_missing_numbers():
    gates = np.array([[200] * 4, [-200] * 4, [np.nan] * 4, [np.inf, -np.inf, np.inf, np.inf]], np.float32)
    zeros = np.zeros((4, 1), np.float32)
    given = (CELLS["LSTM"], Walk([4]), gates, np.zeros((4, 1), np.float32), None, zeros, zeros)
    assert_same(fast.forward(*given), reference.forward(*given))


def test_double_precision_is_left_to_the_reference():
    given = [None if a is None else a.astype(np.float64) for a in drawn(0, "GRU", Walk([2, 1]), 3)]
    assert fast.forward(CELLS["GRU"], Walk([2, 1]), *given) is None
