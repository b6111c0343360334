"""Gradients of convolutions as functions agree with what backward computes."""

import pytest

import wengert as torch
import wengert.nn.functional as F
from wengert.nn import grad


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_they_are_the_gradients_of_the_convolution(axes):
    torch.manual_seed(axes)
    x = torch.randn(2, 4, *(5,) * axes, requires_grad=True)
    w = torch.randn(6, 2, *(3,) * axes, requires_grad=True)
    options = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    out = getattr(F, f"conv{axes}d")(x, w, None, **options)
    g = torch.randn(out.shape)
    out.backward(g)
    by_input, by_weight = (getattr(grad, f"conv{axes}d_{of}") for of in ("input", "weight"))
    assert torch.allclose(by_input(x.shape, w.detach(), g, **options), x.grad, atol=1e-5)
    assert torch.allclose(by_weight(x.detach(), w.shape, g, **options), w.grad, atol=1e-4)


def test_they_can_be_differentiated_in_turn():
    w, g = torch.randn(1, 1, 2, dtype=torch.float64), torch.randn(1, 1, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda w, g: grad.conv1d_input((1, 1, 5), w, g), (w.requires_grad_(), g.requires_grad_())
    )


def test_a_gradient_of_the_wrong_size_is_refused():
    with pytest.raises(RuntimeError, match="does not fit the output"):
        grad.conv1d_input((1, 1, 5), torch.ones(1, 1, 2), torch.ones(1, 1, 5))
