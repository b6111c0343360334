"""Conversions of large arrays give the bits that NumPy's give; what has no fast form is left to the reference."""

import ml_dtypes
import numpy as np
import pytest

import wengert
from wengert.kernels import cpu
from wengert.kernels.cpu.conversions import converted

cpu.begin()

FLOATS = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]
SOURCES = [*FLOATS, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_]


class Target:
    """What stands for a dtype here: its NumPy type."""

    def __init__(self, numpy):
        self.numpy = np.dtype(numpy)


def refused(*args):
    raise AssertionError(f"left to the reference: {args}")


def values(dtype, count=1003):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind not in "fV":
        return rng.integers(0, 100, count).astype(dtype)
    x = rng.standard_normal(count) * np.exp(8 * rng.standard_normal(count))
    x[:7] = np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-8, 65520
    with np.errstate(over="ignore"):
        return x.astype(np.float32).astype(dtype)  # in two steps: PyTorch's 16-bit floats are rounded from float32


@pytest.mark.parametrize("target", [*FLOATS, np.int64, np.int32])
@pytest.mark.parametrize("source", SOURCES)
def test_bits(source, target):
    if source == target:
        return
    x = values(source)
    found = converted.beside(refused)(x, Target(target), None, "K")
    assert found.dtype == target
    with np.errstate(all="ignore"):
        expected = x.astype(np.float64).astype(target) if x.dtype.kind in "fV" else x.astype(target)
    wide = x.astype(np.float64)
    finite = np.isfinite(wide) & (np.abs(wide) < 2.0 ** (62 if target == np.int64 else 30))
    kept = finite if target in (np.int64, np.int32) else slice(None)
    np.testing.assert_array_equal(found[kept].astype(np.float64), expected[kept].astype(np.float64))


@pytest.mark.parametrize("order", ["K", "C"])
def test_memory_order(order):
    x = np.asfortranarray(values(np.float32, 1200).reshape(30, 40))
    found = converted.beside(refused)(x, Target(np.float16), None, order)
    np.testing.assert_array_equal(found, x.astype(np.float16))
    assert found.strides == x.astype(np.float16, order=order).strides


def test_others_are_left_to_the_reference():
    run = converted.beside(lambda *args: "reference")
    assert run(np.zeros(5, np.complex64), Target(np.float32), None, "K") == "reference"
    assert run(np.zeros(5, np.float32), Target(np.int8), None, "K") == "reference"


def test_small_and_large_arrays_round_alike():
    x = wengert.ones(100_000, dtype=wengert.float64) * (1 + 2.0**-11 + 1e-12)  # not halfway, but in float32 it is
    assert (x.half() == 1).all()
    assert (x[:9].half() == 1).all()


def test_gradients_pass():
    x = wengert.randn(100_000, requires_grad=True)
    x.half().sum().backward()
    assert (x.grad == 1).all()
