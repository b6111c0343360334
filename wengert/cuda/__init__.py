"""``torch.cuda``, answering truthfully: there is no CUDA device here, and what needs one is refused."""

import contextlib
import importlib
from collections import OrderedDict

from wengert.absent import answers, refuses
from wengert.errors import AcceleratorError, OutOfMemoryError
from wengert.outside import missing

__all__ = ["AcceleratorError", "OutOfMemoryError", "device", "device_of", "stream"]
default_generators = ()
has_half, has_magma = True, False
_initialized = False

answers(
    globals(),
    {
        "is_available": False, "is_initialized": False, "is_bf16_supported": False, "is_tf32_supported": False,
        "device_count": 0, "get_arch_list": [], "get_gencode_flags": "", "_is_in_bad_fork": False,
        "_is_compiled": False,
        # Seeds of all devices, of which there are none; `torch.manual_seed` seeds the CPU's.
        "manual_seed": None, "manual_seed_all": None, "seed": None, "seed_all": None, "get_rng_state_all": [],
        "set_rng_state_all": None,
        "memory_allocated": 0, "max_memory_allocated": 0, "memory_reserved": 0, "max_memory_reserved": 0,
        "memory_cached": 0, "max_memory_cached": 0, "memory_stats": OrderedDict(), "memory_stats_as_nested_dict": {},
        "host_memory_stats": OrderedDict(), "host_memory_stats_as_nested_dict": {}, "empty_cache": None,
        "reset_peak_memory_stats": None, "reset_max_memory_allocated": None, "reset_max_memory_cached": None,
        "reset_accumulated_memory_stats": None, "caching_allocator_enable": None,
        "list_gpu_processes": "pynvml module not found, please install nvidia-ml-py",
    },
)  # fmt: skip
refuses(
    globals(),
    (
        "init", "_lazy_init", "current_device", "set_device", "synchronize", "current_stream", "default_stream",
        "set_stream", "get_device_name", "get_device_capability", "get_device_properties", "mem_get_info",
        "memory_summary", "memory_snapshot", "ipc_collect", "cudart", "current_blas_handle", "get_rng_state",
        "set_rng_state", "initial_seed", "get_sync_debug_mode", "set_sync_debug_mode", "can_device_access_peer",
        "set_per_process_memory_fraction", "get_per_process_memory_fraction", "utilization", "temperature",
        "power_draw", "clock_rate", "memory_usage", "device_memory_used", "caching_allocator_alloc",
        "caching_allocator_delete", "make_graphed_callables", "graph_pool_handle", "is_current_stream_capturing",
        "get_allocator_backend", "change_current_allocator", "get_stream_from_external",
    ),
    (
        "Stream", "Event", "ExternalStream", "CUDAGraph", "graph", "MemPool", "CUDAPluggableAllocator", "FloatTensor",
        "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor", "IntTensor", "ShortTensor", "CharTensor",
        "ByteTensor", "BoolTensor",
    ),
    AssertionError("Torch not compiled with CUDA enabled: wengert computes on the CPU only"),
)  # fmt: skip


class device:
    """A context in which a CUDA device is the current one: refused on entry, unless the device is none at all."""

    def __init__(self, device):
        self.index = device

    def __enter__(self):
        if self.index is not None and self.index != -1:
            init()  # noqa: F821 - made above

    def __exit__(self, *error):
        return False


class device_of(device):
    """The same for the device of a tensor; nothing for tensors of the CPU, which all are."""

    def __init__(self, obj):
        super().__init__(None)


def stream(stream):
    """A context in which `stream` is the current one; for None nothing changes."""
    if stream is not None:
        init()  # noqa: F821 - made above
    return contextlib.nullcontext()


StreamContext = stream


def __getattr__(name):
    if name in ("amp", "nvtx"):
        return importlib.import_module(f"wengert.cuda.{name}")
    raise missing(__name__, name)
