"""``torch.mps``, answering truthfully: none of Apple's Metal is here, and what needs one is refused by name."""

from wengert.devices import check


def is_available():
    """False."""
    return False


def device_count():
    """0."""
    return 0


def manual_seed(seed):
    """Seed the generators of all devices, of which there are none; `torch.manual_seed` seeds the CPU's."""


manual_seed_all = manual_seed


def empty_cache():
    """Return unused device memory, of which there is none."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(f"module 'wengert.mps' has no attribute '{name}'")

    def refused(*args, **kwargs):
        check("mps")

    refused.__name__ = name
    return refused
