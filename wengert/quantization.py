"""``torch.quantization``: the older place of `torch.ao.quantization`."""

from wengert.ao.quantization import *  # noqa: F403 - the same names
