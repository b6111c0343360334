"""Convolutions whose weights lie channels last."""

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module, memory_format, kinds):
    from ..modules import conv

    for layer in module.modules():
        if isinstance(layer, tuple(getattr(conv, kind) for kind in kinds)):
            layer.weight.data = layer.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Lay out the weights of all `Conv2d` and `ConvTranspose2d` in `module` as `memory_format`; returns the module."""
    return _convert(module, memory_format, ("Conv2d", "ConvTranspose2d"))


def convert_conv3d_weight_memory_format(module, memory_format):
    """Lay out the weights of all `Conv3d` and `ConvTranspose3d` in `module` as `memory_format`; returns the module."""
    return _convert(module, memory_format, ("Conv3d", "ConvTranspose3d"))
