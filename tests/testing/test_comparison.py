"""assert_close says what differs and where; make_tensor keeps to its limits."""

import math

import numpy as np
import pytest

import wengert
from wengert.testing import assert_allclose, assert_close, make_tensor

T = wengert.tensor


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (T([1.0]), T([1.0 + 1e-7]), {}),
        (1, 1, {}),
        (None, None, {}),
        ([1, T(2.0)], (1, T(2.0)), {}),
        ({"a": 1.0}, {"a": 1.0}, {}),
        (T([math.nan]), T([math.nan]), {"equal_nan": True}),
        (T([1]), T([1.0]), {"check_dtype": False}),
        (1, 1.0, {"check_dtype": False}),
        (T([1, 2]), T([1, 3]), {"rtol": 0.0, "atol": 1.0}),
        (np.ones(2), np.ones(2), {}),
    ],
)
def test_what_is_close(actual, expected, options):
    assert_close(actual, expected, **options)


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (
            T([1.0, 1.0]),
            T([1.0, 2.0]),
            r"Mismatched elements: 1 / 2 \(50.0%\)\nGreatest absolute difference: 1.0 at index \(1,\) \(up to 1e-05",
        ),
        (T([1, 1]), T([1, 2]), "Tensor-likes are not equal"),
        (T([1.0]), T([1]), "attribute 'dtype' do not match"),
        (T([1.0]), T([1.0, 1.0]), "attribute 'shape' do not match"),
        (1, 2, "Scalars are not equal"),
        (1.0, 1.1, "Expected 1.1 but got 1.0"),
        ([1, T([1.0])], [1, T([0.0])], r"occurred for item \[1\]"),
        ({"a": [1]}, {"a": [2]}, r"item \['a'\]\[0\]"),
        (None, 1, "None mismatch"),
        ({"a": 1}, {"b": 1}, "Missing keys"),
        ([1], [1, 2], "length of the sequences"),
        (True, False, "Booleans mismatch"),
        (1, 1.0, "types"),
        (T([math.nan]), T([math.nan]), "not close"),
    ],
)
def test_what_is_not(actual, expected, words):
    with pytest.raises(AssertionError, match=words):
        assert_close(actual, expected)


def test_strides_and_messages():
    x = wengert.ones(2, 3)
    with pytest.raises(AssertionError, match="stride"):
        assert_close(x, wengert.ones(3, 2).t(), check_stride=True)
    with pytest.raises(AssertionError, match=r"^no$"):
        assert_close(1, 2, msg="no")
    with pytest.raises(AssertionError, match=r"^Scalars!$"):
        assert_close(1, 2, msg=lambda text: text.split()[0] + "!")


def test_misuse():
    with pytest.raises(ValueError, match="either specified or omitted"):
        assert_close(1, 1, rtol=0.1)
    with pytest.raises(TypeError, match="No comparison pair"):
        assert_close("a", "a")
    with pytest.warns(FutureWarning):
        assert_allclose(T([1.0]), T([1.0]))


@pytest.mark.parametrize(
    "dtype", [wengert.float32, wengert.bfloat16, wengert.int64, wengert.uint8, wengert.bool, wengert.complex64]
)
def test_made_tensors(dtype):
    x = make_tensor(4, 5, dtype=dtype, device="cpu")
    assert x.dtype is dtype and x.shape == (4, 5)
    assert make_tensor((0,), dtype=dtype).numel() == 0
    assert not make_tensor(100, dtype=dtype, low=0, high=2, exclude_zero=True).eq(0).any()


def test_limits_and_strides():
    x = make_tensor((50,), dtype=wengert.float64, low=2, high=3, requires_grad=True)
    assert x.min() >= 2 and x.max() <= 3 and x.requires_grad
    assert not make_tensor((3, 4), dtype=wengert.float32, noncontiguous=True).is_contiguous()
    with pytest.raises(ValueError, match="must be less than"):
        make_tensor(2, dtype=wengert.int64, low=3, high=3)
