"""The best elements of rows, with their places, as the reference gives them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import choices
from wengert.kernels import sorting as reference
from wengert.kernels.cpu import sorting


@pytest.fixture(autouse=True)
def reference_alone(monkeypatch):
    monkeypatch.setattr(choices.state, "active", False)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.sampled_from([1, 3, 40]), st.sampled_from([4, 17, 64, 65, 1000])), st.integers(1, 128), st.booleans(),
    st.booleans(), st.sampled_from(["few", "many", "infinite"]), st.integers(0, 99),
)  # fmt: skip
def test_values_and_places(shape, k, largest, first, kind, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 5, shape).astype(np.float32) if kind == "few" else rng.standard_normal(shape, dtype=np.float32)
    if kind == "infinite":
        x[x > 1], x[x < -1] = np.inf, -np.inf
    dim = 1
    if first:
        x, dim = np.ascontiguousarray(x.T), 0
    k = min(k, x.shape[dim] // 4)
    found = sorting.topk(x, k, dim, largest)
    if found is None:  # given up
        assert kind != "many"
        return
    for a, b in zip(found, reference.topk(x, k, dim, largest), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.flags.c_contiguous


def test_rows_made_to_take_long_are_given_up():
    x = np.arange(10_000, dtype=np.float32)[None]
    assert sorting.topk(x, 100, 1, True) is None
    np.testing.assert_array_equal(sorting.topk(x, 100, 1, False)[1][0], np.arange(100))


@pytest.mark.parametrize("place", [0, 50, 99])
def test_missing_numbers_are_left_to_the_reference(place):
    x = np.zeros((2, 100), np.float32)
    x[1, place] = np.nan
    assert sorting.topk(x, 3, 1, True) is sorting.topk(x, 3, 1, False) is None
