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


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss", "huber_loss"])
def test_gradients_of_targets(name, reduction):
    wengert.manual_seed(0)
    x, y = wengert.randn(400, 250, requires_grad=True), wengert.randn(400, 250, requires_grad=True)
    loss = getattr(functional, name)(x, y, reduction=reduction)
    (loss * wengert.rand_like(loss)).sum().backward()
    assert wengert.equal(x.grad, -y.grad)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignored", [-100, 3])
@pytest.mark.parametrize("shape", [(40, 1000), (4, 19, 30, 20), (3, 5, 4000)])
def test_cross_entropy(shape, ignored, reduction):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    target.reshape(-1)[:5] = ignored
    loss, kept = losses.cross_entropy(x, target, ignored, reduction)
    wanted, others = reference.cross_entropy(x.astype(np.float64), target, ignored, reduction)
    assert type(kept) is not tuple
    np.testing.assert_allclose(loss, wanted, rtol=1e-5, atol=1e-6)
    g = rng.random(np.shape(loss), np.float32)
    slope = losses.cross_entropy_gradient(g, x, target, ignored, reduction, kept)
    exact = reference.cross_entropy_gradient(g, x.astype(np.float64), target, ignored, reduction, others)
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, exact, rtol=1e-5, atol=1e-7)
    by_reference = reference.cross_entropy_gradient(g, x, target, ignored, reduction, kept)
    np.testing.assert_allclose(by_reference, exact, rtol=1e-5, atol=1e-7)


def test_a_mean_of_many_elements_of_16_bits_has_a_gradient():
    x = wengert.full((100_000,), 0.5, dtype=wengert.float16, requires_grad=True)
    functional.binary_cross_entropy_with_logits(x, wengert.zeros_like(x)).backward()
    np.testing.assert_allclose(x.grad.double().numpy(), 0.6225 / 100_000, rtol=1e-2)
