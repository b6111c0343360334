"""``torch.cuda``, answering truthfully: there is no CUDA device here, and what needs one is refused by name."""

import importlib

from wengert.devices import check


def is_available():
    """False: wengert computes on the CPU."""
    return False


def device_count():
    """0."""
    return 0


def is_initialized():
    """False."""
    return False


def is_bf16_supported(including_emulation=True):
    """False: there is no device."""
    return False


def manual_seed(seed):
    """Seed the generators of all devices, of which there are none; `torch.manual_seed` seeds the CPU's."""


def manual_seed_all(seed):
    """Seed the generators of all devices, of which there are none."""


def empty_cache():
    """Return unused device memory, of which there is none."""


def memory_allocated(device=None):
    """0 bytes."""
    return 0


def memory_reserved(device=None):
    """0 bytes."""
    return 0


def max_memory_allocated(device=None):
    """0 bytes."""
    return 0


def reset_peak_memory_stats(device=None):
    """Nothing was allocated, so there is nothing to reset."""


def __getattr__(name):
    if name == "amp":
        return importlib.import_module("wengert.cuda.amp")
    if name.startswith("__"):
        raise AttributeError(f"module 'wengert.cuda' has no attribute '{name}'")

    def refused(*args, **kwargs):
        check("cuda")

    refused.__name__ = name
    return refused
