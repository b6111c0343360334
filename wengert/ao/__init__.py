"""``torch.ao``: quantization, refused by name."""

from wengert.ao import quantization
from wengert.outside import outside

__all__ = ["quantization"]

__getattr__ = outside(__name__)
