"""Compiled elementwise kernels give what the reference kernels give, for every layout, dtype and size."""


import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cpu.fences import Fenced, protecting
from wengert.kernels import cpu, pointwise
from wengert.kernels.cpu import native, recorded
from wengert.kernels.cpu.pointwise import Kernel

cpu.begin()

SIZES = [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 1000, 16383, 16385, 70001]
FLOATS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def numbers(shape, dtype, seed=0):
    values = np.random.default_rng(seed).normal(0, 3, shape)
    return (values > 0) if dtype == np.bool_ else values.astype(dtype)


def formula(a, b):
    return np.where(a > b, a * b - 0.5 * a, np.maximum(a, b) + 2)


COMPILED = Kernel("formula", formula)


def same(got, wanted):
    """Equal up to the rounding of products that are fused with sums."""
    assert got.shape == wanted.shape
    if not got.size:
        return
    assert got.dtype == wanted.dtype
    assert got.strides == wanted.strides or got.size < 2
    tolerance = {2: 2e-2, 4: 1e-6, 8: 1e-14}[got.dtype.itemsize]
    np.testing.assert_allclose(got.astype(np.float64), wanted.astype(np.float64), tolerance, tolerance)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_every_size(size, dtype):
    a, b = numbers(size, dtype), numbers(size, dtype, 1)
    got = COMPILED(a, b)
    wide = [x.astype(np.float32) if x.dtype.itemsize == 2 else x for x in (a, b)]
    same(got, formula(*wide).astype(dtype))


@st.composite
def laid_out(draw, shape):
    """An array of this shape (or one that broadcasts to it): a slice, a transposition, a reversal of another."""
    array_shape = [n if draw(st.booleans()) or draw(st.booleans()) else 1 for n in shape]
    drop = draw(st.integers(0, len(shape)))
    if all(n == 1 for n in array_shape[:drop]):
        array_shape = array_shape[drop:]
    order = draw(st.permutations(range(len(array_shape))))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1, -2])) for _ in array_shape]
    start = draw(st.integers(0, 3))
    stored = [array_shape[i] * abs(steps[i]) + start for i in order]
    base = numbers(stored, np.float32, draw(st.integers(0, 99)))
    array = base.transpose(np.argsort(order)) if order else base
    slices = tuple(
        slice(start, start + n * s, s) if s > 0 else slice(n * -s + start - 1, start - 1 if start else None, s)
        for n, s in zip(array_shape, steps, strict=True)
    )
    array = array[slices]
    assert list(array.shape) == array_shape
    return array


@st.composite
def pairs(draw):
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 5, 16, 17, 40]), max_size=4))
    return draw(laid_out(shape)), draw(laid_out(shape))


@settings(max_examples=300, deadline=None)
@given(pairs())
def test_every_layout(pair):
    got, wanted = COMPILED(*pair), formula(*pair)
    same(got, wanted)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.integers(-40, 40))
def test_overlapping_destination(size, offset):
    memory = numbers(size + 100, np.float32)
    expected = memory.copy()
    source, target = slice(50, 50 + size), slice(50 + offset, 50 + offset + size)
    wanted = formula(memory[source], memory[source])
    expected[target] = wanted
    if not COMPILED.into(memory[target], memory[source], memory[source]):
        memory[target] = wanted
    np.testing.assert_allclose(memory, expected, 1e-6, 1e-6)


def test_in_place():
    a, b = numbers(70001, np.float32), numbers(70001, np.float32, 1)
    wanted = formula(a, b)
    assert COMPILED.into(a, a, b)
    np.testing.assert_allclose(a, wanted, 1e-6, 1e-6)


def test_scalars_and_stretched_arrays_are_read_once():
    a = numbers((40, 50), np.float32)
    for b in (np.float32(2), np.array(2, np.float32), np.broadcast_to(np.float32(2), (40, 50)), a[:1], a[:, :1]):
        b = np.asarray(b)
        same(COMPILED(a, b), formula(a, b))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8])
def test_integers(dtype):
    a, b = numbers(1000, np.int64).astype(dtype), numbers(1000, np.int64, 1).astype(dtype)
    for function in (np.add, np.multiply, np.subtract, np.less, np.equal, np.bitwise_and, np.maximum):
        got = Kernel(function.__name__, function)(a, b)
        wanted = function(a, b)
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


def test_truth_values():
    a, b = numbers(1000, np.bool_), numbers(1000, np.bool_, 1)
    for function in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.equal):
        got = Kernel(function.__name__, function)(a, b)
        assert got.dtype == np.bool_
        np.testing.assert_array_equal(got, function(a, b))
        assert set(np.unique(got.view(np.uint8))) <= {0, 1}


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_halves_are_rounded_once_to_nearest_even(dtype):
    bits = np.arange(1 << 16, dtype=np.uint16)
    a = bits.view(dtype)
    wanted = (a.astype(np.float32) * np.float32(1.0009765625)).astype(dtype)
    got = Kernel("scale", lambda x: x * 1.0009765625)(a)
    finite = ~np.isnan(wanted.astype(np.float32))
    np.testing.assert_array_equal(got[finite].view(np.uint16), wanted[finite].view(np.uint16))
    assert np.isnan(got[~finite].astype(np.float32)).all()


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_float16_on_a_processor_that_does_not_know_it(monkeypatch):
    monkeypatch.setattr(native, "_target", native.target()._replace(triple="x86_64-linux", features="", processor=""))
    kernel = Kernel("negative", np.negative)
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    wide = np.empty(halves.shape, np.float32)
    assert kernel.into(wide, halves)
    np.testing.assert_array_equal(wide, -halves.astype(np.float32))
    between = wide[:-1] + (wide[1:] - wide[:-1]) / 2  # the ties
    bits = np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint32).view(np.float32)
    for x in (wide, between, np.nextafter(between, np.float32(np.inf)), np.nextafter(between, -np.float32(np.inf)),
              np.nextafter(wide, np.float32(np.inf)), bits, bits * np.float32(1e-20)):  # fmt: skip
        found = np.empty(x.shape, np.float16)
        assert kernel.into(found, x)
        np.testing.assert_array_equal(found, (-x).astype(np.float16))
    assert not kernel.refusals


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_a_number_in_float32_beside_halves_leaves_them_halves(dtype):
    a = numbers(100, np.float32).astype(dtype)
    got = Kernel("mul", np.multiply)(a, np.array(0.3, np.float32))
    assert got.dtype == dtype
    wanted = (a.astype(np.float32) * np.float32(0.3)).astype(dtype)
    np.testing.assert_array_equal(got.view(np.uint16), wanted.view(np.uint16))


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_what_rounds_halves_after_each_step_keeps_doing_so(dtype):
    a, b = numbers(1000, np.float32).astype(dtype), numbers(1000, np.float32, 1).astype(dtype)
    kernel = Kernel("div", pointwise.trunc_divide, stepwise=True)
    np.testing.assert_array_equal(kernel(a, b).view(np.uint16), np.trunc(a / b).view(np.uint16))
    assert kernel.refusals
    kernel = Kernel("mul", np.multiply, stepwise=True)  # one step is rounded once in any case
    np.testing.assert_array_equal(kernel(a, b).view(np.uint16), (a * b).view(np.uint16))
    assert not kernel.refusals


def test_what_cannot_be_recorded_stays_with_the_reference():
    kernel = Kernel("branch", lambda x: x if x.shape[0] > 3 else -x)
    x = numbers(10, np.float32)
    assert kernel(x) is x
    assert kernel.refusals


def test_reference_kernels_are_recorded_as_they_stand():
    x, end, weight = numbers(100, np.float32), numbers(100, np.float32, 1), numbers(100, np.float32, 2)
    kernel = Kernel("lerp", pointwise.lerp, recorded.recordable(pointwise.lerp))
    np.testing.assert_allclose(kernel(x, end, weight), pointwise.lerp(x, end, weight), 1e-5, 1e-5)
    assert not kernel.refusals


# --- nothing beyond the ends ------------------------------------------------------------------------------------------


@protecting
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("size", [1, 7, 15, 16, 17, 31, 33, 64, 65, 1000, 40001])
def test_nothing_is_touched_beyond_the_ends(size, dtype, at_end):
    a, b = (Fenced(numbers(size, dtype, seed), at_end) for seed in (0, 1))
    out = Fenced(np.zeros(size, dtype), at_end)
    assert COMPILED.into(out.array, a.array, b.array)
    for fenced in (a, b, out):
        fenced.open()
    np.testing.assert_array_equal(out.array.view(np.uint8), COMPILED(a.array.copy(), b.array.copy()).view(np.uint8))


def test_the_same_bits_twice():
    a, b = numbers(300_001, np.float32), numbers(300_001, np.float32, 1)
    first = COMPILED(a, b)
    for _ in range(5):
        assert (COMPILED(a, b).view(np.uint32) == first.view(np.uint32)).all()
