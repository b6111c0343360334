"""The compiled loop of an LSTM gives what the reference gives, with every combination of arriving gradients."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels.cpu import recurrence as fast
from wengert.nn.modules import recurrence as reference

close = {"rtol": 1e-4, "atol": 1e-5}


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 9), st.sampled_from([1, 7, 16, 17, 32, 40])),
    st.booleans(),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.integers(0, 99),
)
def test_outputs_and_gradients(extents, reverse, arriving, seed):
    time, batch, units = extents
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
    gates, h0, c0, w_hh = draw(time, batch, 4 * units), draw(batch, units), draw(batch, units), draw(4 * units, units)
    found, expected = (m.lstm_forward(gates, h0, c0, w_hh, reverse) for m in (fast, reference))
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, **close)
    shapes = ((time, batch, units), (batch, units), (batch, units))
    arrived = [draw(*shape) if there else None for shape, there in zip(shapes, arriving)]
    dz, dc = fast.lstm_backward(*arrived, h0, c0, w_hh, *expected, reverse)
    whole = reference.lstm_backward(*arrived, h0, c0, w_hh, *expected, reverse)
    np.testing.assert_allclose(dz, whole[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(dc, whole[2], rtol=1e-3, atol=1e-4)


def test_saturated_and_missing_numbers():
    gates = np.zeros((1, 4, 4), np.float32)
    gates[0] = [[200] * 4, [-200] * 4, [np.nan] * 4, [np.inf, -np.inf, np.inf, np.inf]]
    zeros = np.zeros((4, 1), np.float32)
    found = fast.lstm_forward(gates, zeros, zeros, np.zeros((4, 1), np.float32), False)
    for a, b in zip(found, reference.lstm_forward(gates, zeros, zeros, np.zeros((4, 1), np.float32), False)):
        np.testing.assert_allclose(a, b, **close)
