"""``torch.cpu.amp``: mixed precision on the CPU under its older name."""

from .autocast_mode import autocast
from .grad_scaler import GradScaler

__all__ = ["autocast", "GradScaler"]
