"""Softmax, its kind and logsumexp along any dimension give what the reference gives."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import reductions as reference
from wengert.kernels.cpu import reductions

DTYPES = {np.float32: 2e-6, np.float64: 1e-14, np.float16: 2e-3, ml_dtypes.bfloat16: 2e-2}
shapes = st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 5, 70]), st.sampled_from([1, 7, 8, 17, 64, 131]))


def drawn(shape, dtype, layout, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(tuple(n * 2 for n in shape) if layout == "sparse" else shape) * 3
    x = x.astype(dtype)
    if layout == "sparse":
        return x[::2, 1::2, ::2]
    return np.asfortranarray(x) if layout == "turned" else x


def exact(x):
    return x.astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 2), st.sampled_from(["plain", "sparse", "turned"]), st.integers(0, 99))
def test_every_dimension(dtype, shape, dim, layout, seed):
    x, g = drawn(shape, dtype, layout, seed), drawn(shape, dtype, "plain", seed + 1)
    close = {"rtol": 4 * DTYPES[dtype], "atol": 4 * DTYPES[dtype]}
    soft, log = reductions.softmax(x, dim), reductions.log_softmax(x, dim)
    for found, name in ((soft, "softmax"), (log, "log_softmax")):
        assert found.dtype == x.dtype
        np.testing.assert_allclose(exact(found), getattr(reference, name)(exact(x), dim), **close)
        np.testing.assert_array_equal(getattr(reductions, name)(x, dim), found)  # the same bits once more
    total = exact(g).sum(dim, keepdims=True)
    weighted = (exact(g) * exact(soft)).sum(dim, keepdims=True)
    back = reductions.softmax_gradient(g, soft, dim), reductions.log_softmax_gradient(g, log, dim)
    close["atol"] *= 1 + abs(total).max()
    np.testing.assert_allclose(exact(back[0]), exact(soft) * (exact(g) - weighted), **close)
    np.testing.assert_allclose(exact(back[1]), exact(g) - np.exp(exact(log)) * total, **close)
    np.testing.assert_allclose(exact(reductions.logsumexp(x, dim)), reference.logsumexp(exact(x), dim), **close)


def test_a_gradient_that_is_broadcast():
    x = np.random.default_rng(0).standard_normal((2, 5, 40), dtype=np.float32)
    soft = reductions.softmax(x, 1)
    g = np.float32(2)
    np.testing.assert_allclose(reductions.softmax_gradient(g, soft, 1), np.zeros_like(x), atol=1e-6)


def test_extremes_stay_in_their_own_row():
    x = np.zeros((3, 4, 20), np.float32)
    x[0, :, 0], x[0, :, 1], x[1, 2, 2], x[2, 1, 3] = -np.inf, np.inf, np.nan, np.inf
    for name in ("softmax", "log_softmax", "logsumexp"):
        with np.errstate(all="ignore"):
            expected = getattr(reference, name)(x, 1)
        np.testing.assert_allclose(getattr(reductions, name)(x, 1), expected, rtol=1e-6)
