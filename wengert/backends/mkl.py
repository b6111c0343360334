"""Whether Intel's MKL is there: it is not."""


def is_available():
    """False."""
    return False
