"""Whether Apple's Metal is there: it is not."""


def is_built():
    """False."""
    return False


def is_available():
    """False."""
    return False
