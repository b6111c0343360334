"""Whether cuSPARSELt is there: it is not."""


def version():
    """None: there is no such library here."""


def is_available():
    """False."""
    return False
