"""The greatest of each window, its place and its gradient: those of the reference, for every kind of window."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import choices, cpu
from wengert.kernels import pooling as reference
from wengert.kernels.cpu import pooling

cpu.begin()

pairs = lambda least, most: st.tuples(st.integers(least, most), st.integers(least, most))


@settings(max_examples=150, deadline=None)
@given(pairs(1, 4), pairs(1, 4), pairs(1, 3), pairs(0, 2), pairs(0, 40), st.sampled_from(["", "nan", "inf"]),
       st.integers(0, 99))  # fmt: skip
def test_equal_to_the_reference(kernel, stride, dilation, padding, more, special, seed):
    rng = np.random.default_rng(seed)
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    space = tuple(d * (k - 1) + 1 + m for d, k, m in zip(dilation, kernel, more, strict=True))
    out_space = tuple(map(reference.output_size, space, kernel, stride, padding, dilation))
    x = rng.integers(-3, 4, (2, 3, *space)).astype(np.float32)
    if special:
        x[rng.random(x.shape) < 0.3] = np.nan if special == "nan" else -np.inf
    options = (kernel, stride, padding, dilation, out_space)
    values, places = pooling.max_pool_with_indices(x, *options)
    was = choices.state.active
    choices.state.active = False
    try:
        wanted, wanted_places = reference.max_pool_with_indices(x, *options)
        g = rng.standard_normal(wanted.shape, dtype=np.float32)
        wanted_gradient = reference.max_pool_backward(g, wanted_places, space)
    finally:
        choices.state.active = was
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(places, wanted_places)
    np.testing.assert_allclose(pooling.max_pool_backward(g, places, space), wanted_gradient, rtol=1e-6, atol=1e-6)


def test_what_has_no_fast_form_is_left_to_the_reference():
    x = np.ones((1, 1, 4, 4))
    assert pooling.max_pool_with_indices(x, (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)) is None
    assert pooling.max_pool_backward(x, np.zeros(x.shape, np.int64), (4, 4)) is None
