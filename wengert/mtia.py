"""``torch.mtia``, answering truthfully: there is no such accelerator here."""

from wengert.absent import answers, refuses

default_generators = ()
answers(
    globals(),
    {
        "is_available": False, "is_initialized": False, "device_count": 0, "memory_allocated": 0,
        "max_memory_allocated": 0, "memory_stats": {}, "manual_seed": None, "manual_seed_all": None, "seed": None,
        "seed_all": None, "get_rng_state_all": [], "reset_peak_memory_stats": None,
    },
)  # fmt: skip
refuses(
    globals(),
    (
        "init", "current_device", "set_device", "synchronize", "current_stream", "default_stream", "set_stream",
        "stream", "empty_cache", "get_device_capability", "get_device_properties", "get_rng_state", "set_rng_state",
        "initial_seed", "snapshot",
    ),
    ("device", "Stream", "Event"),
    RuntimeError("Cannot execute without MTIA backend: wengert computes on the CPU only"),
)  # fmt: skip
