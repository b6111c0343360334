"""``torch.accelerator``, answering truthfully: there is none, and what needs one says so."""

__all__ = ["current_accelerator", "device_count", "is_available"]

NEEDS_ONE = (
    "current_device_idx", "current_device_index", "current_stream", "device_index", "empty_cache", "empty_host_cache",
    "get_device_capability", "get_memory_info", "max_memory_allocated", "max_memory_reserved", "memory_allocated",
    "memory_reserved", "memory_stats", "reset_accumulated_memory_stats", "reset_peak_memory_stats", "set_device_idx",
    "set_device_index", "set_stream", "synchronize",
)  # fmt: skip


def is_available():
    """False: wengert computes on the CPU, which isn't counted as an accelerator."""
    return False


def current_accelerator(check_available=False):
    """None: there is no accelerator."""


def device_count():
    """0."""
    return 0


def __getattr__(name):
    if name not in NEEDS_ONE:
        raise AttributeError(f"module 'wengert.accelerator' has no attribute '{name}'")

    def refused(*args, **kwargs):
        raise RuntimeError("Cannot access accelerator device when none is available.")

    refused.__name__ = name
    return refused
