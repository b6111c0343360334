"""Activation functions: values at and around their kinks, in-place forms, dtypes."""

import math

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F

X = np.array([-4.0, -1.0, -0.25, 0.0, 0.25, 1.0, 4.0])

VALUES = {
    "relu": (F.relu, np.maximum(X, 0)),
    "relu6": (lambda x: F.relu6(x * 2), np.clip(2 * X, 0, 6)),
    "leaky_relu": (F.leaky_relu, np.where(X > 0, X, 0.01 * X)),
    "hardtanh": (F.hardtanh, np.clip(X, -1, 1)),
    "elu": (lambda x: F.elu(x, 2.0), np.where(X > 0, X, 2 * np.expm1(X))),
    "celu": (lambda x: F.celu(x, 2.0), np.where(X > 0, X, 2 * np.expm1(X / 2))),
    "selu": (F.selu, 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * np.expm1(X))),
    "gelu": (F.gelu, [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in X]),
    "silu": (F.silu, X / (1 + np.exp(-X))),
    "mish": (F.mish, X * np.tanh(np.log1p(np.exp(X)))),
    "softplus": (F.softplus, np.log1p(np.exp(X))),
    "softsign": (F.softsign, X / (1 + np.abs(X))),
    "tanhshrink": (F.tanhshrink, X - np.tanh(X)),
    "hardswish": (F.hardswish, X * np.clip(X + 3, 0, 6) / 6),
    "hardsigmoid": (F.hardsigmoid, np.clip(X + 3, 0, 6) / 6),
    "hardshrink": (F.hardshrink, np.where(np.abs(X) > 0.5, X, 0)),
    "softshrink": (F.softshrink, np.sign(X) * np.maximum(np.abs(X) - 0.5, 0)),
    "threshold": (lambda x: F.threshold(x, 0.5, 9.0), np.where(X > 0.5, X, 9)),
    "logsigmoid": (F.logsigmoid, -np.log1p(np.exp(-X))),
    "rrelu, not training": (F.rrelu, np.where(X > 0, X, X * (1 / 8 + 1 / 3) / 2)),
    "prelu": (lambda x: F.prelu(x, wengert.tensor([0.3], dtype=x.dtype)), np.where(X > 0, X, 0.3 * X)),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    function, expected = VALUES[name]
    np.testing.assert_allclose(function(wengert.from_numpy(X)).numpy(), expected, rtol=1e-9, atol=1e-12)


# At a kink, the derivative is that of one side; which one is PyTorch's choice.
@pytest.mark.parametrize(
    ("function", "kink", "slope"),
    [
        (F.relu, 0.0, 0.0),
        (F.leaky_relu, 0.0, 0.01),
        (F.relu6, 6.0, 0.0),
        (F.hardtanh, 1.0, 0.0),
        (F.elu, 0.0, 1.0),
        (F.hardshrink, 0.5, 0.0),
        (F.softshrink, 0.5, 0.0),
        (F.hardsigmoid, 3.0, 0.0),
    ],
)
def test_the_derivative_at_a_kink(function, kink, slope):
    x = wengert.tensor(kink).requires_grad_()
    function(x).backward()
    assert x.grad.item() == pytest.approx(slope)


@pytest.mark.parametrize(
    "function",
    [F.relu, F.relu6, F.leaky_relu, F.hardtanh, F.elu, F.selu, F.celu, F.silu, F.mish, F.hardswish, F.hardsigmoid],
)
def test_in_place_forms_overwrite_and_have_the_same_gradient(function):
    a, b = wengert.from_numpy(X.copy()).requires_grad_(), wengert.from_numpy(X.copy()).requires_grad_()
    copy = b * 1
    changed = function(copy, inplace=True)
    assert changed is copy
    out = function(a)
    np.testing.assert_array_equal(changed.detach().numpy(), out.detach().numpy())
    out.sum().backward()
    changed.sum().backward()
    np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy())


def test_integers_where_there_are_no_integer_values_are_refused():
    with pytest.raises(NotImplementedError, match="\"elu_cpu\" not implemented for 'Long'"):
        F.elu(wengert.ones(2, dtype=wengert.int64))
    assert F.relu(wengert.tensor([-1, 2])).tolist() == [0, 2]


def test_softmax_needs_a_dim_and_softmin_turns_it_around():
    x = wengert.tensor([[0.0, math.log(3)]])
    np.testing.assert_allclose(F.softmax(x, 1).numpy(), [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(F.softmin(x, dim=1).numpy(), [[0.75, 0.25]], rtol=1e-6)
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        F.softmax(x)


def test_a_hard_gumbel_sample_is_one_hot_and_has_a_gradient():
    wengert.manual_seed(0)
    logits = wengert.zeros(5, 3).requires_grad_()
    sample = F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(sample.detach().sum(1).numpy(), np.ones(5), rtol=1e-6)
    assert set(np.round(sample.detach().numpy(), 6).ravel().tolist()) == {0.0, 1.0}
    (sample * wengert.arange(3.0)).sum().backward()
    assert logits.grad.abs().sum().item() > 0


def test_torch_has_them_without_the_inplace_argument():
    x = wengert.from_numpy(X)
    np.testing.assert_array_equal(wengert.celu(x, 2.0).numpy(), F.celu(x, 2.0).numpy())
    np.testing.assert_array_equal(wengert.selu(x).numpy(), F.selu(x).numpy())
    for name in ("celu_", "selu_", "rrelu_"):
        changed = x.clone()
        assert getattr(wengert, name)(changed) is changed
        np.testing.assert_array_equal(changed.numpy(), getattr(F, name[:-1])(x).numpy())
    assert wengert.threshold_(x.clone(), 0.5, 9.0).tolist() == F.threshold(x, 0.5, 9.0).tolist()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "relu6", "hardtanh", "hardsigmoid", "softshrink", "hardshrink"])
def test_the_gradient_of_a_function_in_straight_pieces_may_be_derived_again(name):
    x = wengert.tensor([-1.0, 0.3, 2.0], requires_grad=True)
    (slope,) = wengert.autograd.grad(getattr(F, name)(x).sum(), x, create_graph=True)
    (curvature,) = wengert.autograd.grad(slope.sum(), x)
    assert curvature.tolist() == [0, 0, 0]
