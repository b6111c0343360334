"""``torch.cuda.amp.GradScaler``: the older spelling of ``torch.amp.GradScaler("cuda")``."""

import warnings

from wengert.amp import grad_scaler as current
from wengert.amp.grad_scaler import OptState

__all__ = ["GradScaler", "OptState"]


class GradScaler(current.GradScaler):
    """``torch.amp.GradScaler("cuda", ...)``."""

    def __init__(
        self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True
    ):  # fmt: skip
        warnings.warn(
            "`torch.cuda.amp.GradScaler(args...)` is deprecated. Please use `torch.amp.GradScaler('cuda', args...)` "
            "instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
