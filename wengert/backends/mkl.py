"""Whether Intel's MKL is there: it is not."""

from contextlib import contextmanager

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available():
    """False."""
    return False


@contextmanager
def verbose(enable):
    """A context in which the library would tell what it does."""
    yield
