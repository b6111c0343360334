"""Whether cuDNN is there: it is not."""

enabled = True  # programs set these; without the library they choose nothing
benchmark = False
deterministic = False
allow_tf32 = True


def version():
    """None: there is no such library here."""


def is_available():
    """False."""
    return False
