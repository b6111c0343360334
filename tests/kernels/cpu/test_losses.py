"""Losses of corresponding elements give what the reference gives, and so do their gradients."""

import ml_dtypes
import numpy as np
import pytest

import wengert
from wengert.kernels import choices
from wengert.kernels import losses as reference
from wengert.kernels.cpu import losses
from wengert.nn import functional

LOSSES = {
    "mse_loss": (reference.squared_difference, ()), "smooth_l1_loss": (reference.smooth_l1_values, (0.3,)),
    "huber_loss": (reference.huber_values, (0.4,)), "binary_cross_entropy": (reference.bce_values, ()),
    "binary_cross_entropy_with_logits": (reference.bce_with_logits_values, ()),
}  # fmt: skip
DTYPES = {np.float32: 1e-5, np.float64: 1e-12, np.float16: 2e-3, ml_dtypes.bfloat16: 2e-2}


@pytest.mark.parametrize("shape", [(1,), (17,), (5, 33), (300, 1001)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_means_and_sums(name, dtype, shape):
    formula, numbers = LOSSES[name]
    rng = np.random.default_rng(0)
    x, y = (rng.random(shape).astype(dtype) for _ in range(2))
    expected = formula(x.astype(np.float64), y.astype(np.float64), *numbers)
    for reduction, wanted in (("mean", expected.mean()), ("sum", expected.sum())):
        if wanted > np.finfo(np.float16).max:
            continue
        found = losses.combined(formula, x, y, reduction, *numbers)
        assert found.dtype == dtype and found.shape == ()
        np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=DTYPES[dtype])


def test_arrays_that_are_broadcast_are_left_to_the_reference():
    x = np.ones((4, 5), np.float32)
    assert losses.combined(reference.squared_difference, x, x[0], "mean") is None


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", [*LOSSES, "soft_margin_loss"])
def test_gradients_of_large_arrays_are_those_of_small_ones(name, dtype, reduction):
    kind, count = getattr(wengert, dtype), 100_000
    wengert.manual_seed(0)
    x, y = (wengert.rand(count).to(kind) for _ in range(2))

    def gradient(x, y):
        x = x.detach().clone().requires_grad_()
        getattr(functional, name)(x, y, reduction=reduction).sum().backward()
        return x.grad.double() * (len(x) if reduction == "mean" else 1)

    assert choices.state.active
    whole, some = gradient(x, y), gradient(x[:50], y[:50])
    tolerance = 3e-2 if dtype == "bfloat16" else 1e-5
    assert wengert.allclose(whole[:50], some, rtol=tolerance, atol=tolerance)


def test_a_mean_of_many_elements_of_16_bits_has_a_gradient():
    x = wengert.full((100_000,), 0.5, dtype=wengert.float16, requires_grad=True)
    functional.binary_cross_entropy_with_logits(x, wengert.zeros_like(x)).backward()
    np.testing.assert_allclose(x.grad.double().numpy(), 0.6225 / 100_000, rtol=1e-2)
