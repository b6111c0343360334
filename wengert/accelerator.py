"""``torch.accelerator``, answering truthfully: the CPU is not one, and there is no other."""

from wengert.absent import answers, refuses
from wengert.outside import outside

answers(globals(), {"is_available": False, "device_count": 0, "current_accelerator": None})
refuses(
    globals(),
    (
        "current_device_idx", "current_device_index", "set_device_idx", "set_device_index", "current_stream",
        "set_stream", "synchronize", "empty_cache", "empty_host_cache", "get_device_capability", "get_memory_info",
        "memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved", "memory_stats",
        "reset_peak_memory_stats", "reset_accumulated_memory_stats",
    ),
    ("Graph", "device_index"),
    RuntimeError("Cannot access accelerator device when none is available."),
)  # fmt: skip

__getattr__ = outside(__name__)
