"""Streamed results are those of the plain form, whether they begin at whole lines or not."""

import numpy as np
import pytest

from wengert.kernels import cpu
from wengert.kernels.cpu import normalization, reductions, streaming
from wengert.kernels.cpu import rows as rows_module
from wengert.kernels.cpu.pointwise import Kernel
from wengert.kernels.cpu.rows import RowKernel

cpu.begin()
LINE = streaming.LINE


def placed(shape, dtype, offset):
    """An empty array that begins `offset` bytes after a whole line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 2 * LINE, np.uint8)
    start = -raw.ctypes.data % LINE + offset
    return raw[start : start + size].view(dtype).reshape(shape)


@pytest.fixture
def streamed(monkeypatch):
    """Stream results of all sizes, and count those that were."""
    counted = []
    original = streaming.Streaming.__call__

    def call(self, layout, *arrays):
        counted.append(all(streaming.aligned(arrays[k]) for k in self.results))
        original(self, layout, *arrays)

    monkeypatch.setattr(streaming, "smallest", lambda: 0)
    monkeypatch.setattr(streaming.Streaming, "__call__", call)
    return counted


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("offset", [0, 16, 4])
@pytest.mark.parametrize("shape", [(64, 512), (5, 1024), (3, 8192)])
def test_rows(shape, offset, dtype, streamed):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    kernel = RowKernel("softmax", reductions.softmax_row)
    out = placed(shape, dtype, offset)
    assert kernel(shape, [x], [out])
    assert streamed == [offset == 0]
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    np.testing.assert_allclose(out, e / e.sum(1, keepdims=True), rtol=1e-5 if dtype != np.float16 else 2e-3, atol=1e-7)


@pytest.mark.parametrize("shape", [(64, 500), (5, 1001)])
def test_rows_that_begin_within_a_line_are_not_streamed(shape, streamed):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    out = placed(shape, np.float32, 0)
    assert RowKernel("softmax", reductions.softmax_row)(shape, [x], [out])
    assert streamed == []


@pytest.mark.parametrize("n", [16, 17, 1 << 14, (1 << 15) + 3, 100_001])
def test_elementwise(n, streamed):
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    kernel = Kernel("twice", lambda x: x * 2 + 1)
    for _ in range(8):  # wherever memory is found for the result
        np.testing.assert_array_equal(kernel(x), x * np.float32(2) + np.float32(1))
    assert len(streamed) == 8


def test_in_place_is_not_streamed(streamed):
    x = placed((4096,), np.float32, 0)
    x[...] = 3
    assert Kernel("twice", lambda x: x * 2 + 1).into(x, x)
    assert streamed == []
    np.testing.assert_array_equal(x, 7)


def test_small_results_stay_in_the_caches():
    assert streaming.smallest() >= 1 << 16


def test_what_is_kept_for_later_passes_lies_beside_a_short_row_and_in_the_result_of_a_long_one():
    for n in (rows_module.SHORT, rows_module.SHORT + 1):
        x = np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
        found = reductions.softmax(x, -1)
        e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
        np.testing.assert_allclose(found, e / e.sum(1, keepdims=True), rtol=1e-5)


def test_layer_norm(streamed):
    x = np.random.default_rng(0).standard_normal((64, 512)).astype(np.float32)
    found, mean, _ = normalization.standardize(x, None, None, x.shape, (1,), (512,), 1e-5)
    assert len(streamed) == 1
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean, x.mean(1, keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("columns", [1, 16, 17, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_zeros_share_no_line(columns, dtype):
    zeros = streaming.lines_of_zeros(5, columns, dtype)
    assert zeros.shape == (5, columns)
    assert not zeros.any()
    assert all(row.ctypes.data % LINE == 0 for row in zeros)
