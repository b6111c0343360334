"""Whether einsum asks the package opt_einsum for an order of its products: it does not."""

enabled = False
strategy = None


def is_available():
    """False."""
    return False


def get_opt_einsum():
    """None."""
