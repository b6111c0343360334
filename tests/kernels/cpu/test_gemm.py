"""Products on our own threads: those of NumPy, for every proportion and however the operands lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import cpu, matmul
from wengert.kernels.cpu import blas, gemm, threads

cpu.begin()

sides = st.one_of(st.integers(1, 20), st.sampled_from([31, 33, 63, 64, 65, 66, 129, 513, 600]))
lays = st.sampled_from(["rows", "columns", "apart"])


def laid(rng, shape, how):
    """Normal numbers of this shape whose last two dimensions lie in rows, in columns, or apart."""
    *outer, rows, columns = shape
    if how == "columns":
        return rng.standard_normal((*outer, columns, rows), dtype=np.float32).swapaxes(-1, -2)
    if how == "apart":
        return rng.standard_normal((*outer, 2 * rows, 3 * columns), dtype=np.float32)[..., ::2, ::3]
    return rng.standard_normal(shape, dtype=np.float32)


def check(found, a, b, bias=None):
    exact = a.astype(float) @ b.astype(float) + (0 if bias is None else bias)
    size = np.abs(a).astype(float) @ np.abs(b).astype(float) + (0 if bias is None else np.abs(bias))
    assert found.shape == exact.shape
    assert found.dtype == np.float32
    assert (np.abs(found - exact) <= 8e-7 * (a.shape[-1] ** 0.5 + 2) * size / max(a.shape[-1], 1) ** 0.5 + 1e-30).all()


@settings(max_examples=150, deadline=None)
@given(sides, sides, sides, lays, lays, st.booleans(), st.integers(0, 99))
def test_a_product_of_matrices(rows, depth, columns, lay_a, lay_b, with_bias, seed):
    rng = np.random.default_rng(seed)
    a, b = laid(rng, (1, 1, rows, depth), lay_a), laid(rng, (1, 1, depth, columns), lay_b)
    bias = rng.standard_normal(columns, dtype=np.float32) if with_bias else None
    check(gemm.product(a, b, bias), a, b, bias)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3), max_size=3), st.sampled_from(["both", "left", "right"]), lays, lays,
       st.integers(0, 99))  # fmt: skip
def test_batches_broadcast(outer, who, lay_a, lay_b, seed):
    rng = np.random.default_rng(seed)
    ones = [1] * len(outer)
    a = laid(rng, (*(ones if who == "right" else outer), 17, 19), lay_a)
    b = laid(rng, (*(ones if who == "left" else outer), 19, 21), lay_b)
    found = gemm.times(a, b)
    check(found, a, b)
    out = np.full((*found.shape[:-1], 40), 7, np.float32)
    if len(outer) <= 2:
        assert gemm.times(a, b, None, out[..., 3:24]) is not None
        np.testing.assert_array_equal(out[..., 3:24], found)
        assert (out[..., :3] == 7).all()
        assert (out[..., 24:] == 7).all()


def test_a_result_is_the_same_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((1, 1, 333, 700), dtype=np.float32), laid(rng, (1, 1, 700, 130), "columns")
    before, results = threads.number(), []
    try:
        for count in (1, 2, 3):
            threads.choose(count)
            results.append(gemm.product(a, b))
    finally:
        threads.choose(before)
    assert all((r == results[0]).all() for r in results)


def test_nan_and_infinity_go_where_they_belong():
    a, b = np.ones((1, 1, 40, 33), np.float32), np.ones((1, 1, 33, 50), np.float32)
    a[0, 0, 3, 5], b[0, 0, 7, 9] = np.nan, np.inf
    found = gemm.product(a, b)[0, 0]
    assert np.isnan(found[3]).all()
    assert np.isinf(found[[0, 39], 9]).all()
    assert np.isfinite(np.delete(np.delete(found, 3, 0), 9, 1)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.complex64, np.complex128])
def test_other_types_are_shared_out_by_rows(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((300, 70)).astype(dtype), rng.standard_normal((70, 50)).astype(dtype)
    before = threads.number()
    try:
        threads.choose(2)
        found = blas.times(a, b, b[0])
    finally:
        threads.choose(before)
    np.testing.assert_allclose(found, a @ b + b[0], rtol=1e-4)
    assert found.dtype == dtype


def test_few_rows_and_columns_are_numpys():
    a, b = np.ones((2, 4000), np.float32), np.ones((4000, 3), np.float32)
    if not gemm.FROM:
        assert gemm.times(a, b) is None
        assert gemm.times(np.ones((1, 1, 512), np.float32), np.ones((512, 512), np.float32)) is None
    np.testing.assert_array_equal(matmul.times(a, b), np.full((2, 3), 4000, np.float32))
    assert gemm.times(a[:, :0], b[:0]) is None
    assert gemm.times(a.astype(float), b.astype(float)) is None


@pytest.mark.parametrize("outer", [((), ()), ((5,), ()), ((3, 2), (3, 2))])
def test_a_result_owns_its_memory(outer):
    """So a weight's gradient becomes its `.grad` without a copy."""
    a, b = (np.ones((*first, *last), np.float32) for first, last in zip(outer, ((64, 300), (300, 70)), strict=True))
    found = gemm.times(a, b)
    assert found.base is None
    np.testing.assert_array_equal(found, a @ b)
