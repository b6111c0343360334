"""Gradients of convolutions as functions are those that autograd gives."""

import pytest

import wengert as torch


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}])
def test_gradients_of_convolutions(axes, options):
    torch.manual_seed(0)
    x = torch.randn(2, 4, *(6,) * axes, requires_grad=True)
    w = torch.randn(6, 4 // options.get("groups", 1), *(3,) * axes, requires_grad=True)
    out = getattr(torch.nn.functional, f"conv{axes}d")(x, w, **options)
    g = torch.randn(out.shape)
    to_x, to_w = torch.autograd.grad(out, [x, w], g)
    functions = torch.nn.grad
    torch.testing.assert_close(getattr(functions, f"conv{axes}d_input")(x.shape, w, g, **options), to_x)
    torch.testing.assert_close(getattr(functions, f"conv{axes}d_weight")(x, w.shape, g, **options), to_w)
