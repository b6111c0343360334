"""``torch.mps``, answering truthfully: there is no Apple GPU here."""

from wengert.absent import answers, refuses
from wengert.outside import outside

answers(globals(), {"is_available": False, "device_count": 0, "manual_seed": None, "_is_in_bad_fork": False})
refuses(
    globals(),
    (
        "synchronize", "empty_cache", "current_allocated_memory", "driver_allocated_memory", "recommended_max_memory",
        "get_rng_state", "set_rng_state", "seed", "set_per_process_memory_fraction", "compile_shader",
    ),
    ("Event",),
    RuntimeError("Cannot execute without MPS backend: wengert computes on the CPU only"),
)  # fmt: skip

__getattr__ = outside(__name__)
