"""The layout of convolutions' weights: channels innermost, or as PyTorch stores them."""

from ..modules import conv

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert(module, kinds, memory_format):
    """Lay out the weights of all convolutions of these `kinds` in `module` anew; returns `module`."""
    for part in module.modules():
        if isinstance(part, kinds):
            part.weight.data = part.weight.detach().clone().contiguous(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Lay out the weights of two-dimensional convolutions in `memory_format`, e.g. channels_last; returns `module`."""
    return convert(module, (conv.Conv2d, conv.ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module, memory_format):
    """Lay out the weights of three-dimensional convolutions in `memory_format`; returns `module`."""
    return convert(module, (conv.Conv3d, conv.ConvTranspose3d), memory_format)
