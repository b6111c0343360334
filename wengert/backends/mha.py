"""The fast path of attention in PyTorch's inference: programs switch it; here there is one path."""

_enabled = True


def get_fastpath_enabled():
    """What was set last."""
    return _enabled


def set_fastpath_enabled(value):
    """Set it; the result is the same either way."""
    global _enabled
    _enabled = bool(value)
