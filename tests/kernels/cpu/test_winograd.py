"""Winograd's convolutions are those of the reference, within a few units of the result's root mean square."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import convolution as reference
from wengert.kernels.cpu import winograd


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def close(found, exact, scale):
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-5 * scale)


@st.composite
def images(draw):
    """Extents around those of tiles and vectors: n, channels, filters, height, width, padding."""
    sides = st.one_of(st.integers(3, 20), st.sampled_from([31, 32, 33]))
    channels = st.sampled_from([1, 3, 8, 15, 16, 17, 48])
    return (draw(st.integers(1, 3)), draw(channels), draw(channels), draw(sides), draw(sides),
            draw(st.tuples(st.integers(0, 2), st.integers(0, 2))))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(images(), st.booleans(), st.booleans(), st.integers(0, 99))
def test_the_maps_equal_the_reference_in_64_bits(case, last, with_bias, seed):
    n, c, o, height, width, padding = case
    rng = np.random.default_rng(seed)
    lay = channels_last if last and c > 1 and o > 1 else np.ascontiguousarray
    x = lay(rng.standard_normal((n, c, height, width), dtype=np.float32))
    w = rng.standard_normal((o, c, 3, 3), dtype=np.float32)
    bias = rng.standard_normal(o, dtype=np.float32) if with_bias else None
    options = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    wide = [None if a is None else a.astype(float) for a in (x, w, bias)]
    exact = reference.correlate(*wide, **options)
    close(winograd.correlate(x, w, bias, padding, lay(np.empty(exact.shape, np.float32))), exact, 3 * np.sqrt(c))
    g = lay(rng.standard_normal(exact.shape, dtype=np.float32))
    exact = reference.correlate_weight(g.astype(float), wide[0], (3, 3), **options)
    close(winograd.correlate_weight(g, x, padding), exact, np.sqrt(n * height * width))


def test_the_points_make_a_convolution():
    """Sums of products of small whole numbers come out to the last digits that the denominators leave."""
    x = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6)
    w = np.zeros((1, 1, 3, 3), np.float32)
    w[0, 0, 1, 2] = 1
    out = winograd.correlate(x, w, None, (0, 0), np.empty((1, 1, 4, 4), np.float32))
    np.testing.assert_allclose(out[0, 0], x[0, 0, 1:5, 2:6], rtol=1e-5)


def test_nothing_is_written_beyond_the_result():
    """A result of 5 × 7 needs tiles that reach beyond it; what lies there stays."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 7, 9), dtype=np.float32), rng.standard_normal((4, 3, 3, 3), dtype=np.float32)
    memory = np.full(4096 + 2 * 4 * 5 * 7 + 4096, 7, np.float32)
    out = memory[4096:-4096].reshape(2, 4, 5, 7)
    winograd.correlate(x, w, None, (0, 0), out)
    assert (memory[:4096] == 7).all() and (memory[-4096:] == 7).all()
    assert not (out == 7).any()


def test_two_runs_give_the_same_bits():
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape, dtype=np.float32) for shape in ((4, 16, 33, 33), (4, 32, 31, 31)))
    first, second = (winograd.correlate_weight(g, x, (0, 0)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
