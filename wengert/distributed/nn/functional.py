"""The functions of `torch.distributed.nn` by themselves."""

from wengert.distributed.nn import *  # noqa: F403 - the same names
