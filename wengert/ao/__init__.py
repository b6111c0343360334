"""``torch.ao``: quantization, refused by name."""

from wengert.ao import quantization

__all__ = ["quantization"]
