"""``torch.cuda.amp``: the older spelling of `torch.amp` for CUDA devices; every use warns that it is."""

import warnings

from wengert.amp import autocast_mode as current
from wengert.dtypes import float16


def _warn(old, new):
    warnings.warn(
        f"`torch.cuda.amp.{old}` is deprecated. Please use `torch.amp.{new}` instead.", FutureWarning, stacklevel=3
    )


class autocast(current.autocast):
    """``torch.amp.autocast("cuda", ...)``."""

    def __init__(self, enabled=True, dtype=float16, cache_enabled=True):
        _warn("autocast(args...)", "autocast('cuda', args...)")
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


def _cast(value, dtype):
    _warn("autocast_mode._cast(value, dtype)", "autocast_mode._cast(value, 'cuda', dtype)")
    return current._cast(value, "cuda", dtype)


def custom_fwd(fwd=None, *, cast_inputs=None):
    """``torch.amp.custom_fwd(..., device_type="cuda")``."""
    _warn("custom_fwd(args...)", "custom_fwd(args..., device_type='cuda')")
    return current.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd):
    """``torch.amp.custom_bwd(..., device_type="cuda")``."""
    _warn("custom_bwd(args...)", "custom_bwd(args..., device_type='cuda')")
    return current.custom_bwd(bwd, device_type="cuda")
