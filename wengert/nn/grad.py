"""``torch.nn.grad``: the gradients of convolutions as functions of their own."""

import wengert

from . import functional as F


def _of(convolution, axes):
    """(gradient for the input, gradient for the weight) of one of the convolutions."""

    def arranged(value):
        return (value,) * axes if isinstance(value, int) else tuple(value)

    def gradient(inputs, wanted, grad_output, options):
        with wengert.enable_grad():
            leaves = [t.detach().requires_grad_() for t in inputs]
            result = convolution(*leaves, None, *map(arranged, options[:3]), options[3])
        return wengert.autograd.grad(result, leaves[wanted], grad_output)[0]

    def to_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
        start = weight.new_zeros(tuple(input_size))
        return gradient((start, weight), 0, grad_output, (stride, padding, dilation, groups))

    def to_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
        start = input.new_zeros(tuple(weight_size))
        return gradient((input, start), 1, grad_output, (stride, padding, dilation, groups))

    to_input.__name__, to_weight.__name__ = f"conv{axes}d_input", f"conv{axes}d_weight"
    to_input.__doc__ = f"The gradient of `conv{axes}d` for an input of `input_size`."
    to_weight.__doc__ = f"The gradient of `conv{axes}d` for a weight of `weight_size`."
    return to_input, to_weight


conv1d_input, conv1d_weight = _of(F.conv1d, 1)
conv2d_input, conv2d_weight = _of(F.conv2d, 2)
conv3d_input, conv3d_weight = _of(F.conv3d, 3)
