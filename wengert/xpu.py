"""``torch.xpu``, answering truthfully: there is no Intel GPU here."""

from collections import OrderedDict

from wengert.absent import answers, refuses
from wengert.outside import outside

default_generators = ()
answers(
    globals(),
    {
        "is_available": False, "is_initialized": False, "is_bf16_supported": False, "is_tf32_supported": False,
        "device_count": 0, "get_arch_list": [], "get_gencode_flags": "", "manual_seed": None, "manual_seed_all": None,
        "seed": None, "seed_all": None, "get_rng_state_all": [], "memory_allocated": 0, "max_memory_allocated": 0,
        "memory_reserved": 0, "max_memory_reserved": 0, "memory_stats": OrderedDict(), "empty_cache": None,
        "memory_stats_as_nested_dict": {}, "memory_snapshot": [], "reset_peak_memory_stats": None,
        "reset_accumulated_memory_stats": None, "_is_compiled": False,
    },
)  # fmt: skip
refuses(
    globals(),
    (
        "init", "current_device", "set_device", "synchronize", "current_stream", "set_stream", "stream", "mem_get_info",
        "get_device_name", "get_device_capability", "get_device_properties", "get_rng_state", "set_rng_state",
        "set_rng_state_all", "initial_seed", "can_device_access_peer",
    ),
    ("Stream", "Event", "device", "device_of", "StreamContext", "XPUGraph", "MemPool"),
    AssertionError("Torch not compiled with XPU enabled: wengert computes on the CPU only"),
)  # fmt: skip

__getattr__ = outside(__name__)
