"""The gradients of convolutions as functions of their own: by input, and by weight."""

import wengert
from wengert.nn import functional

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def pulled_back(name, shape, at, others, grad_output, options):
    """The gradient that `grad_output` gives the argument of `shape` at place `at` of a convolution.

    A convolution is linear in each of its arguments, so that the place of its derivative doesn't matter: zeros do.
    """
    differentiable = wengert.is_grad_enabled() and any(t.requires_grad for t in (*others, grad_output))
    with wengert.enable_grad():
        place = grad_output.new_zeros(shape).requires_grad_()
        arguments = [place, *others] if at == 0 else [*others, place]
        out = getattr(functional, name)(*arguments, None, *options)
    if out.shape != grad_output.shape:
        raise RuntimeError(
            f"{name}: grad_output of shape {list(grad_output.shape)} does not fit the output, {list(out.shape)}"
        )
    (gradient,) = wengert.autograd.grad(out, place, grad_output, create_graph=differentiable)
    return gradient


def by_input(name):
    def function(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
        return pulled_back(name, input_size, 0, [weight], grad_output, (stride, padding, dilation, groups))

    function.__name__ = function.__qualname__ = f"{name}_input"
    function.__doc__ = f"The gradient of `{name}` by its input, of shape `input_size`."
    return function


def by_weight(name):
    def function(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
        return pulled_back(name, weight_size, 1, [input], grad_output, (stride, padding, dilation, groups))

    function.__name__ = function.__qualname__ = f"{name}_weight"
    function.__doc__ = f"The gradient of `{name}` by its weight, of shape `weight_size`."
    return function


conv1d_input, conv1d_weight = by_input("conv1d"), by_weight("conv1d")
conv2d_input, conv2d_weight = by_input("conv2d"), by_weight("conv2d")
conv3d_input, conv3d_weight = by_input("conv3d"), by_weight("conv3d")
