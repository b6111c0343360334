"""Pools against windows cut out one by one."""

import numpy as np
import pytest

from wengert.kernels import pooling
from wengert.kernels.pooling import pooled_size

# (space, kernel, stride, padding, dilation, ceil_mode)
CASES = [
    ((8,), (2,), (2,), (0,), (1,), False),
    ((7,), (3,), (2,), (1,), (1,), True),
    ((6, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((7, 5), (3, 2), (2, 1), (1, 1), (1, 2), False),
    ((5, 5), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ((5, 6), (3, 3), (1, 1), (1, 1), (1, 1), False),
    ((4, 5, 6), (2, 2, 3), (2, 1, 2), (1, 0, 1), (1, 2, 1), True),
]


def windows(case):
    """For each output position the positions inside the image that its window covers, in row-major order."""
    space, kernel, stride, padding, dilation, ceil_mode = case
    out_space = tuple(pooled_size(*sizes, ceil_mode) for sizes in zip(space, kernel, stride, padding, dilation))
    cover = {}
    for out in np.ndindex(*out_space):
        taps = (
            tuple(i * s + k * d - p for i, s, k, d, p in zip(out, stride, tap, dilation, padding))
            for tap in np.ndindex(*kernel)
        )
        cover[out] = [at for at in taps if all(0 <= a < size for a, size in zip(at, space))]
    return out_space, cover


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("with_nan", [False, True])
def test_max_pool_takes_the_first_maximum_or_the_last_nan(case, with_nan):
    space, kernel, stride, padding, dilation, _ = case
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (2, 3, *space)).astype(float)
    if with_nan:
        x[rng.random(x.shape) < 0.1] = np.nan
    out_space, cover = windows(case)
    values, indices = pooling.max_pool_with_indices(x, kernel, stride, padding, dilation, out_space)
    assert indices.dtype == np.int64
    for plane in np.ndindex(2, 3):
        for out, places in cover.items():
            seen = [x[plane + at] for at in places]
            expected = max(range(len(seen)), key=lambda i: (np.isnan(seen[i]) * (1 + i), seen[i], -i))
            assert indices[plane + out] == np.ravel_multi_index(places[expected], space)
            np.testing.assert_equal(values[plane + out], seen[expected])
    np.testing.assert_equal(pooling.max_pool(x, kernel, stride, padding, dilation, out_space), values)
    np.testing.assert_equal(pooling.gather_windows(x, indices), values)


@pytest.mark.parametrize("case", CASES)
def test_the_backward_of_max_pool_is_the_transpose_of_reading_its_maxima(case):
    space, kernel, stride, padding, dilation, _ = case
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, *space))
    out_space, _ = windows(case)
    _, indices = pooling.max_pool_with_indices(x, kernel, stride, padding, dilation, out_space)
    g, probe = rng.standard_normal(indices.shape), rng.standard_normal(x.shape)
    spread = pooling.max_pool_backward(g, indices, space)
    np.testing.assert_allclose((spread * probe).sum(), (g * pooling.gather_windows(probe, indices)).sum())


@pytest.mark.parametrize("case", [c for c in CASES if max(c[4]) == 1])
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_sums_counts_and_their_transpose(case, count_include_pad):
    space, kernel, stride, padding, _, _ = case
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, *space))
    out_space, cover = windows(case)
    total = pooling.sum_pool(x, kernel, stride, padding, out_space)
    counts = np.broadcast_to(
        pooling.window_counts(space, kernel, stride, padding, out_space, count_include_pad), out_space
    )
    g = rng.standard_normal(total.shape)
    expected = np.zeros_like(x)
    for out, places in cover.items():
        np.testing.assert_allclose(total[(..., *out)], sum(x[(..., *at)] for at in places))
        if not count_include_pad or not any(padding):
            assert counts[out] == len(places)
        for at in places:
            expected[(..., *at)] += g[(..., *out)]
    np.testing.assert_allclose(pooling.sum_pool_backward(g, space, kernel, stride, padding), expected)


@pytest.mark.parametrize(
    ("space", "out_space"), [((7,), (3,)), ((6, 8), (3, 4)), ((5, 3), (2, 5)), ((4, 5, 6), (2, 3, 6))]
)
def test_adaptive_windows_cover_the_image(space, out_space):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 3, *space))
    total, counts = pooling.adaptive_sum(x, out_space), pooling.adaptive_counts(space, out_space)
    best, where = pooling.adaptive_max_with_indices(x, out_space)
    g = rng.standard_normal(total.shape)
    spread = np.zeros_like(x)
    for out in np.ndindex(*out_space):
        box = (..., *(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(out, space, out_space)))
        axes = tuple(range(2, x.ndim))
        np.testing.assert_allclose(total[(..., *out)], x[box].sum(axes))
        np.testing.assert_array_equal(best[(..., *out)], x[box].max(axes))
        assert np.broadcast_to(counts, out_space)[out] == x[box][0, 0].size
        spread[box] += g[(..., *out)].reshape(2, 3, *(1,) * len(space))
    np.testing.assert_allclose(pooling.adaptive_sum_backward(g, space), spread)
    np.testing.assert_array_equal(pooling.gather_windows(x, where), best)


def test_unpooling_puts_maxima_back_and_zero_elsewhere():
    x = np.array([[[1.0, 3.0, 2.0, 5.0]]])
    values, indices = pooling.max_pool_with_indices(x, (2,), (2,), (0,), (1,), (2,))
    np.testing.assert_array_equal(pooling.max_unpool(values, indices, (4,)), [[[0, 3, 0, 5]]])


def test_ceil_mode_ignores_windows_that_would_start_in_the_right_padding():
    assert pooled_size(3, 2, 2, 1, 1, ceil_mode=True) == 2
    assert pooled_size(6, 2, 3, 0, 1, ceil_mode=True) == 3 - 1


def test_fractional_starts_end_with_the_last_possible_window():
    starts = pooling.fractional_starts(np.array([0.0, 0.3, 0.9]), size=10, count=4, kernel=2)
    np.testing.assert_array_equal(starts[:, -1], 8)
    assert (np.diff(starts) >= 2).all() and (np.diff(starts) <= 3).all()
