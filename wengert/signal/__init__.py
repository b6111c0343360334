"""``torch.signal``: windows."""

from wengert.signal import windows

__all__ = ["windows"]
