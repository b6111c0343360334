"""Convolutions of few channels are those of the reference."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import convolution as reference
from wengert.kernels import cpu
from wengert.kernels.cpu import convolution, direct

cpu.begin()
pairs = lambda least, most: st.tuples(st.integers(least, most), st.integers(least, most))


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.sampled_from([1, 3, 7, 8, 9, 20]), pairs(0, 40), pairs(1, 5),
       st.integers(1, 3), pairs(0, 2), pairs(1, 2), st.booleans(), st.integers(0, 99))  # fmt: skip
def test_the_maps_equal_the_reference_in_64_bits(n, c, o, more, kernel, down, padding, dilation, with_bias, seed):
    rng = np.random.default_rng(seed)
    space = tuple(d * (k - 1) + 1 + m for d, k, m in zip(dilation, kernel, more, strict=True))
    x = rng.standard_normal((n, c, *space), dtype=np.float32)
    w = rng.standard_normal((o, c, *kernel), dtype=np.float32)
    bias = rng.standard_normal(o, dtype=np.float32) if with_bias else None
    options = {"stride": (down, 1), "padding": padding, "dilation": dilation}
    wide = [None if a is None else a.astype(float) for a in (x, w, bias)]
    exact = reference.correlate(*wide, **options)
    found = direct.correlate(x, w, bias, *options.values(), np.full(exact.shape, np.nan, np.float32))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=2e-5)
    g = rng.standard_normal(exact.shape, dtype=np.float32)
    exact = reference.correlate_weight(g.astype(float), wide[0], kernel, **options)
    found = direct.correlate_weight(g, x, kernel, *options.values())
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=2e-5 * np.sqrt(g.size / o) + 1e-5)


def test_nothing_is_written_beyond_the_result():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 1, 7, 13), dtype=np.float32), rng.standard_normal((3, 1, 3, 3), dtype=np.float32)
    memory = np.full(64 + 2 * 3 * 5 * 11 + 64, 7, np.float32)
    direct.correlate(x, w, None, (1, 1), (0, 0), (1, 1), memory[64:-64].reshape(2, 3, 5, 11))
    assert (memory[:64] == 7).all()
    assert (memory[-64:] == 7).all()


def test_many_channels_and_steps_aside_are_left_to_others():
    x, w = np.ones((1, 5, 16, 16), np.float32), np.ones((4, 5, 3, 3), np.float32)
    options = ((0, 0), (1, 1), 1)
    assert convolution.Direct.correlate(x, w, None, (1, 1), *options, (14, 14)) is None
    assert convolution.Direct.correlate(x[:, :2], w[:, :2], None, (1, 2), *options, (14, 7)) is None
    assert convolution.Direct.correlate(x[:, :2], w[:, :2], None, (1, 1), *options, (14, 14)) is not None
