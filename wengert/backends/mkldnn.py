"""Whether oneDNN is there: it is not."""

enabled = True  # programs set this; without the library it chooses nothing


def is_available():
    """False."""
    return False
