"""The loop over time, on arrays: packed sequences fare as they would alone; slopes are the derivatives."""

import numpy as np
import pytest

from wengert.kernels.recurrence import CELLS, Walk, backward, forward

SIZES = [3, 3, 2, 1, 1]
UNITS = 4


def drawn(name, rows, batch):
    rng, wide = np.random.default_rng(0), len(CELLS[name].bends) * UNITS
    draw = rng.standard_normal
    c0 = draw((batch, UNITS)) if name == "LSTM" else None
    return draw((rows, wide)), draw((wide, UNITS)) / 2, draw(wide), draw((batch, UNITS)), c0


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_sequences_of_a_packed_batch_run_as_if_alone(name, reverse):
    walk = Walk(SIZES, reverse)
    gates, w, b, h0, c0 = drawn(name, walk.rows, walk.batch)
    outputs, _, _ = forward(CELLS[name], walk, gates, w, b, h0, c0)
    starts = np.cumsum([0, *SIZES[:-1]])
    for k, length in enumerate([5, 3, 2]):
        rows = [start + k for start in starts[:length]]
        mine = slice(k, k + 1)
        alone = Walk([1] * length, reverse)
        state = h0[mine], None if c0 is None else c0[mine]
        expected = forward(CELLS[name], alone, gates[rows], w, b, *state)[0]
        np.testing.assert_allclose(outputs[rows], expected, rtol=1e-12)
        np.testing.assert_allclose(walk.last(outputs)[k], expected[0 if reverse else -1], rtol=1e-12)


@pytest.mark.parametrize("sizes", [SIZES, [2, 2, 2]])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_those_of_small_differences(name, reverse, sizes):
    cell, walk = CELLS[name], Walk(sizes, reverse)
    given = drawn(name, walk.rows, walk.batch)
    rng = np.random.default_rng(1)
    arrived = [rng.standard_normal((rows, UNITS)) for rows in (walk.rows, walk.batch, walk.batch)]
    if name != "LSTM":
        arrived[2] = None

    def loss(*given):
        outputs, cells, _ = forward(cell, walk, *given)
        finals = [outputs, walk.last(outputs), None if cells is None else walk.last(cells)]
        return sum((value * g).sum() for value, g in zip(finals, arrived, strict=True) if g is not None)

    found = backward(cell, walk, arrived, given[1], *given[3:], *forward(cell, walk, *given))
    for place, gradient in enumerate(found):
        if gradient is None:
            continue
        direction = rng.standard_normal(given[place].shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = list(given)
            moved[place] = given[place] + step * direction
            ends.append(loss(*moved))
        np.testing.assert_allclose((gradient * direction).sum(), (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-7)
