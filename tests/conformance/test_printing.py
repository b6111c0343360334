"""Printed tensors, character by character, beside PyTorch's."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the oracle (PyTorch) is not installed")

import wengert  # noqa: E402
from wengert.dtypes import FROM_NUMPY, default  # noqa: E402
from wengert.printing import printoptions  # noqa: E402
from wengert.tensor import wrap  # noqa: E402

DTYPES = {
    "torch.float16": np.float16,
    "torch.float32": np.float32,
    "torch.float64": np.float64,
    "torch.bfloat16": ml_dtypes.bfloat16,
    "torch.float8_e5m2": ml_dtypes.float8_e5m2,
    "torch.float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "torch.complex64": np.complex64,
    "torch.complex128": np.complex128,
    "torch.bool": np.bool_,
    "torch.int8": np.int8,
    "torch.int16": np.int16,
    "torch.int32": np.int32,
    "torch.int64": np.int64,
    "torch.uint8": np.uint8,
    "torch.uint16": np.uint16,
    "torch.uint32": np.uint32,
    "torch.uint64": np.uint64,
}

PART_DTYPES = {np.dtype(np.complex64): np.float32, np.dtype(np.complex128): np.float64}

# Magnitudes on both sides of every border between notations, and values that may not take part in the choice.
FAMILIES = {
    "whole": st.integers(-1200, 1200).map(float),
    "plain": st.floats(-10, 10, width=32),
    "wide": st.floats(width=64, allow_nan=True, allow_infinity=True),
    "narrow": st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 9.99995, 0.99999, 123.456, -999.96]),
    "borders": st.sampled_from(
        [1.0, 1000.0, 1001.0, 999.99994, 1e8, 1.0e8 + 8, 1e-4, 9.9999e-5, 0.1, 1e3, 1e5, 1e-3, 99999.0, 0.00010001]
    ),
    "special": st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 3.0, 2.5, -1e-9, 1e30]),
    "tiny": st.floats(-1e-30, 1e-30, width=64),
}

SHAPES = st.one_of(
    st.just(()),
    st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple),
    st.tuples(st.integers(1, 60)),
    st.tuples(st.integers(1, 9), st.integers(1, 30)),
)


@st.composite
def arrays(draw, name):
    """An array of the named dtype, filled by repeating a few drawn values so that examples stay cheap."""
    dtype, shape = np.dtype(DTYPES[name]), draw(SHAPES)
    size = int(np.prod(shape))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low = draw(st.sampled_from([info.min, max(-12, info.min), 0]))
        high = draw(st.sampled_from([info.max, 12]))
        pool = draw(st.lists(st.integers(low, high), min_size=1, max_size=12))
    elif dtype.kind == "b":
        pool = draw(st.lists(st.booleans(), min_size=1, max_size=12))
    else:
        pool = draw(st.lists(FAMILIES[draw(st.sampled_from(sorted(FAMILIES)))], min_size=1, max_size=12))
    if dtype.kind == "c":
        other = draw(st.lists(FAMILIES[draw(st.sampled_from(sorted(FAMILIES)))], min_size=1, max_size=12))
        parts = np.empty((size, 2), PART_DTYPES[dtype])
        with np.errstate(over="ignore"):
            parts[:, 0], parts[:, 1] = np.resize(pool, size), np.resize(other, size)
        return parts.view(dtype).reshape(shape)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.resize(np.array(pool, np.float64 if dtype.kind not in "biu" else dtype).astype(dtype), shape)


OPTIONS = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {},
        optional={
            "precision": st.integers(0, 8),
            "threshold": st.sampled_from([0, 1, 5, 20, 100, float("inf")]),
            "edgeitems": st.integers(0, 4),
            "linewidth": st.sampled_from([1, 10, 20, 40, 79, 80, 120, 200]),
            "sci_mode": st.sampled_from([None, True, False]),
            "profile": st.sampled_from(["default", "short", "full"]),
        },
    ),
)


def in_torch(array, name):
    """The same elements as a PyTorch tensor, whatever NumPy interop knows of the dtype."""
    dtype = getattr(torch, name.removeprefix("torch."))
    if not array.size:
        return torch.empty(array.shape, dtype=dtype)
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8).copy()
    return torch.from_numpy(raw).view(dtype).reshape(array.shape)


def both(array, name, requires_grad=False):
    assert str(FROM_NUMPY[array.dtype]) == name
    return in_torch(array, name).requires_grad_(requires_grad), wrap(array).requires_grad_(requires_grad)


def assert_same_text(oracle, ours, options):
    with torch._tensor_str.printoptions(**options), printoptions(**options):
        assert repr(ours) == repr(oracle)
        if array_is_formattable(oracle):
            assert f"{ours}" == f"{oracle}"


def array_is_formattable(oracle):
    """Whether PyTorch converts the dtype to a Python number (it can not for a scalar of float8)."""
    return "float8" not in str(oracle.dtype)


@pytest.mark.parametrize("name", DTYPES)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_every_dtype_prints_as_in_pytorch(name, data):
    array, options = data.draw(arrays(name)), data.draw(OPTIONS)
    differentiable = array.dtype.kind not in "biu" and "float8" not in name
    oracle, ours = both(array, name, differentiable and data.draw(st.booleans()))
    assert_same_text(oracle, ours, options)


@pytest.mark.parametrize("mantissa", [1.0, 1.5, 9.99999, 9.9999949, 0.12345678])
@pytest.mark.parametrize("name", ["torch.float32", "torch.float64", "torch.float16", "torch.bfloat16"])
def test_all_pairs_of_magnitudes(name, mantissa):
    with np.errstate(over="ignore"):
        for low in range(-9, 12):
            for span in range(6):
                array = np.array([mantissa * 10.0**low, -(10.0 ** (low + span))]).astype(DTYPES[name])
                assert_same_text(*both(array, name), {})


@pytest.mark.parametrize("shape", [(1001,), (5000,), (10, 101), (101, 10), (7, 7, 30), (2, 600), (1, 1, 1, 2000)])
@pytest.mark.parametrize("name", ["torch.float32", "torch.int64", "torch.complex64", "torch.bool", "torch.bfloat16"])
def test_large_arrays_are_cut_alike(shape, name):
    values = np.random.default_rng(0).normal(size=shape) * 100
    assert_same_text(*both(values.astype(DTYPES[name]), name), {})


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("chosen", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(2,), (0,), (0, 2)])
def test_dtype_is_spelled_out_unless_it_is_the_default(name, chosen, shape, monkeypatch):
    before = torch.get_default_dtype()
    oracle, ours = both(np.ones(shape, DTYPES[name]), name)
    monkeypatch.setattr(default, "dtype", getattr(wengert, chosen))
    torch.set_default_dtype(getattr(torch, chosen))
    try:
        assert_same_text(oracle, ours, {})
    finally:
        torch.set_default_dtype(before)


RESULTS = {
    "scaled": lambda T, leaf: leaf * 2.5,
    "sum": lambda T, leaf: leaf.sum(),
    "exp": lambda T, leaf: leaf.exp(),
    "converted": lambda T, leaf: leaf.double() / 3,
    "softmax": lambda T, leaf: leaf.softmax(0),
    "view": lambda T, leaf: (leaf * 1).view(-1, 1),
    "slice": lambda T, leaf: leaf[:1],
    "unbound": lambda T, leaf: leaf.unbind()[0],
    "detached": lambda T, leaf: (leaf * 2).detach(),
    "complex": lambda T, leaf: leaf * 1j,
    "parameter": lambda T, leaf: T.nn.Parameter(leaf.detach()),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("columns", range(1, 14))
def test_the_place_in_the_graph_is_shown_and_wraps_alike(result, columns):
    oracle, ours = (result(T, T.full((columns,), 0.5, requires_grad=True)) for T in (torch, wengert))
    assert_same_text(oracle, ours, {})


def test_subclasses_print_alike():
    oracle, ours = (repr(T.ones(2, 2).as_subclass(type("Mask", (T.Tensor,), {}))) for T in (torch, wengert))
    assert ours == oracle
