"""``torch.cpu.amp``: the older spelling of `torch.amp` for the CPU; every use warns that it is."""

import warnings

from wengert.amp import autocast_mode as current
from wengert.dtypes import bfloat16

__all__ = ["autocast"]


class autocast(current.autocast):
    """``torch.amp.autocast("cpu", ...)``."""

    def __init__(self, enabled=True, dtype=bfloat16, cache_enabled=True):
        warnings.warn(
            "`torch.cpu.amp.autocast(args...)` is deprecated. Please use `torch.amp.autocast('cpu', args...)` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)
