"""Equality and nearness, extremes together, steps."""

import numpy as np
import pytest

import wengert


def test_isclose_is_relative_to_the_second():
    a, b = wengert.tensor([1.0, 1.0, 100.0]), wengert.tensor([1.0, 1.1, 100.5])
    assert a.isclose(b, rtol=0.01).tolist() == [True, False, True]
    assert not a.allclose(b) and a.allclose(a)
    nan = wengert.tensor([float("nan"), float("inf")])
    assert nan.isclose(nan).tolist() == [False, True]
    assert nan.isclose(nan, equal_nan=True).tolist() == [True, True]
    assert wengert.isclose(
        wengert.tensor([250], dtype=wengert.uint8), wengert.tensor([1], dtype=wengert.uint8), atol=10
    ).tolist() == [False]


def test_what_isclose_refuses():
    x = wengert.ones(2)
    with pytest.raises(RuntimeError, match="Float did not match Double"):
        x.isclose(x.double())
    with pytest.raises(RuntimeError, match="rtol must be greater"):
        x.isclose(x, rtol=-1)
    with pytest.raises(TypeError, match="argument 'input'"):
        wengert.isclose(2, x)


def test_equal_asks_for_shape_and_elements():
    assert wengert.ones(2).equal(wengert.ones(2))
    assert not wengert.ones(2).equal(wengert.ones(1, 2))
    assert not wengert.tensor([1, 2]).equal(wengert.tensor([1, 3]))


def test_isreal_and_infinities():
    assert wengert.tensor([1 + 0j, 1j]).isreal().tolist() == [True, False]
    assert wengert.tensor([float("inf"), -float("inf"), float("nan")]).isposinf().tolist() == [True, False, False]
    assert wengert.tensor([float("inf"), -float("inf"), float("nan")]).isneginf().tolist() == [False, True, False]
    assert wengert.tensor([1, 2]).isposinf().tolist() == [False, False]


def test_aminmax_shares_its_gradient_among_equals():
    x = wengert.tensor([[1.0, 3.0, 3.0]], requires_grad=True)
    least, most = x.aminmax(dim=1)
    (least * 2 + most).sum().backward()
    assert x.grad.tolist() == [[2.0, 0.5, 0.5]]
    assert wengert.aminmax(wengert.tensor([2, 1])).max == 2
    with pytest.raises(RuntimeError, match="no identity"):
        wengert.zeros(0).aminmax()


def test_aminmax_of_nan_has_gradients_of_nan():
    x = wengert.tensor([1.0, float("nan"), 3.0], requires_grad=True)
    sum(x.aminmax()).backward()
    assert x.grad.isnan().all()


def test_large_tensors_are_equal_only_where_all_elements_are():
    x = wengert.zeros(100, 1000)
    assert x.equal(x.clone())
    for place in (0, -1):
        y = x.clone()
        y[place, -1] = 1
        assert not x.equal(y)


def test_heaviside_takes_its_value_at_0_from_the_second():
    result = wengert.heaviside(wengert.tensor([-1.0, 0.0, 2.0]), wengert.tensor(0.5))
    np.testing.assert_array_equal(result.numpy(), [0, 0.5, 1])
    with pytest.raises(TypeError, match="argument 'values'"):
        wengert.heaviside(wengert.ones(2), 1)


def test_tolerances_may_be_tensors():
    x = wengert.ones(2)
    assert wengert.isclose(x, x + 0.5, wengert.tensor(1), wengert.tensor(1.0)).all()


def test_two_limits_are_two_tensors_or_two_numbers():
    for low, high in ((0, wengert.ones(1)), (wengert.zeros(1), 1)):
        with pytest.raises(TypeError, match="received an invalid combination of arguments"):
            wengert.ones(2).clamp(low, high)


@pytest.mark.parametrize("name", ["hypot", "nextafter", "logaddexp", "logaddexp2"])
def test_functions_of_real_numbers_refuse_integers(name):
    x = wengert.tensor([1, 2])
    with pytest.raises(NotImplementedError, match=f"\"{name}_cpu\" not implemented for 'Long'"):
        getattr(wengert, name)(x, x)


def test_a_factor_for_integers_is_an_integer():
    x = wengert.tensor([1, 2])
    result = wengert.addcmul(x, x, x, value=1.5)
    assert result.tolist() == [2, 6] and result.numpy().dtype == np.int64


def test_complex_numbers_have_no_greatest():
    x = wengert.ones(2, dtype=wengert.complex64)
    for find in (wengert.Tensor.max, wengert.Tensor.min, wengert.Tensor.amax, wengert.Tensor.amin):
        with pytest.raises(NotImplementedError):
            find(x)
    with pytest.raises(RuntimeError, match="does not support complex input"):
        x.argmax()


def test_sums_that_need_other_numbers():
    with pytest.raises(RuntimeError, match="expected input to have floating point or complex dtype but got Long"):
        wengert.arange(3).nanmean()
    with pytest.raises(NotImplementedError, match="not implemented for 'Bool'"):
        wengert.ones(2, 2, dtype=wengert.bool).trace()


def test_a_missing_argument_is_one_of_the_operation():
    with pytest.raises(TypeError, match=r"^add\(\) missing 1 required positional argument: 'other'"):
        wengert.add(wengert.ones(1))


def test_the_frequencies_of_nothing():
    assert wengert.fft.fftfreq(0).shape == (0,)
