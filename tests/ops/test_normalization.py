"""Normalization layers' functions: what is standardized, what running statistics do, what is refused."""

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape) * 3 + 1


def standard(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize(
    ("function", "axes"),
    [
        (lambda x: F.batch_norm(x, None, None, training=True), (0, 2, 3)),
        (lambda x: F.instance_norm(x), (2, 3)),
        (lambda x: F.layer_norm(x, (4, 3, 5)), (1, 2, 3)),
        (lambda x: F.layer_norm(x, 5), (3,)),
        (lambda x: F.group_norm(x, 1), (1, 2, 3)),
        (lambda x: F.group_norm(x, 4), (2, 3)),
    ],
)
def test_which_axes_are_standardized(function, axes):
    x = draw(2, 4, 3, 5)
    np.testing.assert_allclose(function(wengert.from_numpy(x)).numpy(), standard(x, axes))


def test_running_statistics_move_by_momentum_towards_the_unbiased_ones():
    x = draw(6, 2)
    mean, var = wengert.zeros(2, dtype=wengert.float64), wengert.ones(2, dtype=wengert.float64)
    F.batch_norm(wengert.from_numpy(x), mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean(0))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var(0, ddof=1))
    assert mean._version == 1
    out = F.batch_norm(wengert.from_numpy(x), mean, var)
    np.testing.assert_allclose(out.numpy(), (x - mean.numpy()) / np.sqrt(var.numpy() + 1e-5))


def test_weight_and_bias_belong_to_channels_or_elements():
    x, w, b = draw(2, 3, 4), np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])
    tw, tb = wengert.from_numpy(w), wengert.from_numpy(b)
    expected = standard(x, (0, 2)) * w[:, None] + b[:, None]
    np.testing.assert_allclose(F.batch_norm(wengert.from_numpy(x), None, None, tw, tb, True).numpy(), expected)
    rows = x.transpose(0, 2, 1).copy()
    np.testing.assert_allclose(F.layer_norm(wengert.from_numpy(rows), (3,), tw, tb).numpy(), standard(rows, 2) * w + b)


def test_lengths():
    x = draw(3, 4)
    np.testing.assert_allclose(F.normalize(wengert.from_numpy(x)).numpy(), x / np.linalg.norm(x, axis=1, keepdims=True))
    root = np.sqrt((x * x).mean(1, keepdims=True) + 0.1)
    np.testing.assert_allclose(F.rms_norm(wengert.from_numpy(x), (4,), eps=0.1).numpy(), x / root)


def test_neighbouring_channels():
    x = draw(1, 3, 2)
    square = np.pad(x * x, ((0, 0), (1, 0), (0, 0)))
    expected = x / (2 + 0.5 * (square[:, :-1] + square[:, 1:]) / 2) ** 0.75
    np.testing.assert_allclose(F.local_response_norm(wengert.from_numpy(x), 2, 0.5, 0.75, 2.0).numpy(), expected)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda x: F.batch_norm(x[:1, :, :1, :1], None, None, training=True),
            ValueError,
            "more than 1 value per channel",
        ),
        (lambda x: F.batch_norm(x, None, None), RuntimeError, "running_mean and running_var to be defined"),
        (
            lambda x: F.batch_norm(x, None, None, x[0, :, 0, 0][:2], None, True),
            RuntimeError,
            "weight should contain 4 elements",
        ),
        (lambda x: F.layer_norm(x, (3,)), RuntimeError, "Given normalized_shape=.3., expected input with shape"),
        (lambda x: F.group_norm(x, 3), RuntimeError, "divisible by num_groups"),
        (lambda x: F.instance_norm(x[:, :, :1, :1]), ValueError, "more than 1 spatial element"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(wengert.from_numpy(draw(2, 4, 3, 5)))


@pytest.mark.parametrize(
    ("input", "parameter", "words"),
    [
        (wengert.float64, wengert.float32, "all inputs must share same datatype"),
        (wengert.float32, wengert.float64, "expect parameter to have scalar type of Float"),
        (wengert.bfloat16, wengert.float32, None),
    ],
)
def test_parameters_have_the_dtype_of_the_input_or_more_than_its_16_bits(input, parameter, words):
    x, w = wengert.ones(2, 4, dtype=input), wengert.ones(4, dtype=parameter)
    for call in (lambda: F.layer_norm(x, (4,), w, w), lambda: F.group_norm(x, 2, w, w)):
        if words is None:
            assert call().dtype is input
        else:
            with pytest.raises(RuntimeError, match=words):
                call()


def test_a_bias_without_weight_over_several_dimensions():
    x = wengert.randn(2, 3, 4, dtype=wengert.float64, requires_grad=True)
    bias = wengert.randn(3, 4, dtype=wengert.float64, requires_grad=True)
    F.layer_norm(x, (3, 4), None, bias).sum().backward()
    assert bias.grad.shape == (3, 4) and bias.grad.tolist() == wengert.full((3, 4), 2.0).tolist()
