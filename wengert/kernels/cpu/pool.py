"""Large arrays in recycled memory.

A fresh page costs more than the addition that fills it: the system clears each one when it is first touched. NumPy lets
a program bring its own allocator (NEP 49); ours, in runtime.ll, keeps the blocks of dead arrays for the next array of
their size. A block comes free when NumPy frees the array that owns it, which is when the last view, saved value, DLPack
capsule or other alias of it is gone, so nothing can see a block that is used again.

The handler is set for the thread (more precisely: the context) in which the first large array of wengert's was met, and
serves all arrays that NumPy makes there. Statistics bear the names of `torch.cuda.memory_stats`.
"""

import ctypes
import os
from contextvars import ContextVar

import numpy as np

from wengert.kernels.cpu import native

SMALLEST = 1 << 16  # bytes: below this malloc reuses memory by itself


class Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy's C interface, version 1."""

    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", ctypes.c_void_p),
                ("malloc", ctypes.c_void_p), ("calloc", ctypes.c_void_p), ("realloc", ctypes.c_void_p),
                ("free", ctypes.c_void_p)]  # fmt: skip


NAME = b"mem_handler"
SET_HANDLER, GET_HANDLER = 304, 305  # places in NumPy's table of functions, which never move

_installed: ContextVar[bool] = ContextVar("wengert_pool", default=False)
_handler = None  # with its capsule; stays for the life of the process, as arrays refer to it
_capsule = None
_before = None


def wanted():
    """Whether the pool is to be used: unless WENGERT_POOL is 0."""
    return os.environ.get("WENGERT_POOL", "1") != "0"


def numpy_function(index, result, *arguments):
    table = np._core._multiarray_umath._ARRAY_API
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    address = ctypes.cast(pointer(table, None), ctypes.POINTER(ctypes.c_void_p))[index]
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


def make_handler():
    """Our handler, which passes small requests on to the one that was there before."""
    global _handler, _capsule, _before
    runtime = native.runtime()
    _before = numpy_function(GET_HANDLER, ctypes.py_object)()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    before = Handler.from_address(pointer(_before, NAME))
    limit = physical_memory() // 2
    runtime.memory_configure(ctypes.addressof(before) + Handler.context.offset, SMALLEST, limit)
    places = runtime.addresses
    _handler = Handler(b"wengert", 1, None, places["wengert_malloc"], places["wengert_calloc"],
                       places["wengert_realloc"], places["wengert_free"])  # fmt: skip
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    _capsule = new(ctypes.addressof(_handler), NAME, None)


def physical_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 33


def install():
    """Let NumPy's arrays of this context live in the pool, if it is wanted."""
    if _installed.get() or not wanted():
        return
    if _capsule is None:
        make_handler()
    numpy_function(SET_HANDLER, ctypes.py_object, ctypes.py_object)(_capsule)
    _installed.set(True)


def uninstall():
    """Let new arrays of this context come from where they came before."""
    if _installed.get():
        numpy_function(SET_HANDLER, ctypes.py_object, ctypes.py_object)(_before)
        _installed.set(False)
        empty_cache()


FIELDS = ("allocated", "peak", "kept", "allocations", "reuses", "limit", "returned", "ever")


def _raw():
    if _capsule is None:
        return dict.fromkeys(FIELDS, 0)
    return dict(zip(FIELDS, (ctypes.c_int64 * len(FIELDS)).from_address(native.runtime().memory_stats()), strict=True))


def memory_stats():
    """What the pool holds, in bytes, by the names of `torch.cuda.memory_stats`.

    `allocated_bytes.all.*` counts blocks that belong to living arrays, `reserved_bytes.all.current` these and the kept
    ones; `num_alloc_reused` says how many of the `allocation.all.allocated` requests were met by a kept block.
    """
    raw = _raw()
    return {
        "allocated_bytes.all.current": raw["allocated"],
        "allocated_bytes.all.peak": raw["peak"],
        "reserved_bytes.all.current": raw["allocated"] + raw["kept"],
        "inactive_bytes.all.current": raw["kept"],
        "reserved_bytes.all.freed": raw["returned"],
        "allocation.all.allocated": raw["allocations"],
        "num_alloc_reused": raw["reuses"],
    }


def memory_allocated():
    """Bytes of the large arrays that live."""
    return _raw()["allocated"]


def max_memory_allocated():
    """The most that `memory_allocated` has been since the start or `reset_peak_memory_stats`."""
    return _raw()["peak"]


def memory_reserved():
    """Bytes held from the system: those of living arrays, and those kept for the next."""
    raw = _raw()
    return raw["allocated"] + raw["kept"]


def reset_peak_memory_stats():
    """Measure `max_memory_allocated` anew from now on."""
    if _capsule is not None:
        raw = (ctypes.c_int64 * len(FIELDS)).from_address(native.runtime().memory_stats())
        raw[1] = raw[0]


def empty_cache():
    """Give all kept blocks back to the system."""
    if _capsule is not None:
        native.runtime().memory_trim(0)
