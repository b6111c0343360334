"""Whether NNPACK is there: it is not."""

from contextlib import contextmanager


def is_available():
    """False."""
    return False


def set_flags(_enabled):
    """Refused unless False, which it is; returns it as it was."""
    if _enabled:
        raise NotImplementedError("torch.backends.nnpack.set_flags(True): wengert has no NNPACK")
    return (False,)


@contextmanager
def flags(enabled=False):
    """`set_flags` inside a ``with`` block."""
    set_flags(enabled)
    yield
