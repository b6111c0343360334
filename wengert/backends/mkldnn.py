"""Whether oneDNN is there: it is not."""

from contextlib import contextmanager

enabled = True  # programs set these; without the library they choose nothing
deterministic = False
allow_tf32 = True
VERBOSE_OFF, VERBOSE_ON, VERBOSE_ON_CREATION = 0, 1, 2


def is_available():
    """False."""
    return False


@contextmanager
def flags(enabled=False, deterministic=False, allow_tf32=True, fp32_precision="none"):
    """Change the settings inside a ``with`` block."""
    names = ("enabled", "deterministic", "allow_tf32")
    before = {name: globals()[name] for name in names}
    globals().update(zip(names, (enabled, deterministic, allow_tf32)))
    try:
        yield
    finally:
        globals().update(before)


@contextmanager
def verbose(level):
    """A context in which the library would tell what it does."""
    yield
