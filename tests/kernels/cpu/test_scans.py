"""Running sums and products are those of the reference, along every dimension and however the array lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert
from wengert.kernels import cpu
from wengert.kernels import reductions as reference
from wengert.kernels.cpu import scans

cpu.begin()


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 7, 8, 9, 17]), max_size=2), st.sampled_from([1, 5, 600]), st.integers(-3, 2),
       st.sampled_from([np.float32, np.float64]), st.sampled_from(["rows", "reversed", "swapped", "apart"]),
       st.integers(0, 99))  # fmt: skip
def test_equal_to_the_reference(shape, large, dim, dtype, how, seed):
    shape.insert(seed % (len(shape) + 1), large)
    dim = max(-len(shape), min(dim, len(shape) - 1))
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    lays = {"rows": x, "reversed": np.flip(x, dim), "swapped": np.ascontiguousarray(x.T).T}
    x = lays.get(how, np.repeat(x, 2, -1)[..., ::2])
    rtol = 1e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(scans.cumsum(x, dim), reference.cumsum(x, dim), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(scans.cumprod(x, dim), reference.cumprod(x, dim), rtol=rtol, atol=0)


def test_rounded_once():
    """The running totals of float32 are kept in float64, so a million tenths are as exact as one."""
    x = np.full(1_000_000, 0.1, np.float32)
    exact = np.cumsum(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(scans.cumsum(x, 0), exact)
    np.testing.assert_array_equal(scans.cumsum(np.tile(x[:999, None], (1, 9)), 0), np.tile(exact[:999, None], (1, 9)))


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex64])
def test_other_types_are_the_references(dtype):
    x = np.arange(1, 7).astype(dtype).reshape(2, 3)
    np.testing.assert_array_equal(scans.cumsum(x, 1), reference.cumsum(x, 1))
    np.testing.assert_array_equal(scans.cumprod(x, 0), reference.cumprod(x, 0))


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("expanded", [False, True])
def test_gradient_runs_from_the_end(dim, expanded):
    g = np.random.default_rng(0).standard_normal((3, 17, 40), dtype=np.float32)
    g = np.broadcast_to(g[:1, :1, :1], g.shape) if expanded else g
    found = scans.cumsum_gradient.beside(None)(g, dim)
    assert found.flags.c_contiguous
    wanted = np.flip(np.cumsum(np.flip(g, dim), dim, dtype=np.float64), dim)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_tensors_gradient_is_scanned(monkeypatch):
    x = wengert.randn(40, 1000, requires_grad=True)
    called = []
    scan = scans.scan
    monkeypatch.setattr(scans, "scan", lambda *args, **options: called.append(options) or scan(*args, **options))
    x.cumsum(1).sum().backward()
    assert {"backward": True} in called
    np.testing.assert_allclose(x.grad[0].numpy(), np.arange(1000, 0, -1))
