"""Planes resized, and the transpose of that, as the reference does it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import choices, pooling
from wengert.kernels import resampling as reference
from wengert.kernels.cpu import resampling
from wengert.kernels.taps import adaptive_taps

sizes = st.sampled_from([1, 2, 3, 7, 16, 17, 33, 50])


@pytest.fixture(autouse=True)
def reference_alone(monkeypatch):
    monkeypatch.setattr(choices.state, "active", False)


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(["nearest", "nearest-exact", "linear", "cubic"]), st.booleans(), st.booleans())
def test_resizing_and_its_transpose(axes, data, mode, align, antialias):
    space = tuple(data.draw(sizes) % 20 + 1 if axes == 3 else data.draw(sizes) for _ in range(axes))
    size = tuple(data.draw(sizes) for _ in range(axes))
    antialias = antialias and mode in ("linear", "cubic")
    taps = [reference.resize_taps(mode, old, new, align, None, antialias, np.float32)
            for old, new in zip(space, size, strict=True)]  # fmt: skip
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((2, 3, *shape), dtype=np.float32) for shape in (space, size))
    close = {"rtol": 1e-4, "atol": 1e-4}
    found = resampling.resample(x, taps)
    np.testing.assert_allclose(found, reference.resample(x, taps), **close)
    np.testing.assert_array_equal(found, resampling.resample(x, taps))
    back = resampling.resample_transpose(g, taps, space)
    np.testing.assert_allclose(back, reference.resample_transpose(g, taps, space), **close)


def test_an_infinite_gradient_reaches_only_what_it_was_read_from():
    g = np.zeros((1, 1, 8, 8), np.float32)
    g[0, 0, 0, 0] = np.inf
    taps = [reference.resize_taps("linear", 4, 8, False, None, False, np.float32)] * 2
    back = resampling.resample_transpose(g, taps, (4, 4))
    assert back[0, 0, 0, 0] == np.inf
    assert np.isfinite(back[0, 0, 1:, 1:]).all()


def test_other_layouts_are_read_as_they_lie():
    x = np.random.default_rng(0).standard_normal((2, 9, 7, 5), dtype=np.float32).transpose(0, 3, 1, 2)
    taps = [reference.resize_taps("linear", n, 12, False, None, False, np.float32) for n in (9, 7)]
    np.testing.assert_allclose(resampling.resample(x, taps), reference.resample(x, taps), rtol=1e-5, atol=1e-5)


def test_double_precision_is_left_to_the_reference():
    assert resampling.resample(np.zeros((1, 1, 4, 4)), [None, None]) is None


@pytest.mark.parametrize(("space", "size"), [((7, 9), (3, 4)), ((5, 33), (5, 17)), ((4, 5, 6), (3, 2, 4))])
def test_sums_over_windows_are_taps_too(space, size):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((2, 3, *shape), dtype=np.float32) for shape in (space, size))
    taps, close = adaptive_taps(space, size), {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(resampling.resample(x, taps), pooling.adaptive_sum(x, size), **close)
    back = resampling.resample_transpose(g, taps, space)
    np.testing.assert_allclose(back, pooling.adaptive_sum_backward(g, space), **close)


def test_an_infinity_is_in_its_own_windows_alone():
    x = np.zeros((1, 1, 7, 7), np.float32)
    x[..., 6, 6] = np.inf
    total = resampling.resample(x, adaptive_taps((7, 7), (3, 4)))
    assert np.isinf(total).sum() == 1 and not np.isnan(total).any()
