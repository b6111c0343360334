"""The fast kernels: on or off, what they hold, and what is active on this machine.

Large arrays are worked on by compiled kernels where the extra `fast` is installed; results agree with the reference
kernels within a few units in the last place. WENGERT_FAST=0 in the environment, or `disable()`, leaves everything to
NumPy; WENGERT_POOL=0 leaves memory to it alone. WENGERT_CACHE names the directory of compiled kernels; with
WENGERT_VECTORS=128 (or 256) these are those of processors whose vectors have so many bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from wengert.kernels import choices

__all__ = [
    "disable", "disabled", "empty_cache", "enable", "is_enabled", "max_memory_allocated", "memory_allocated",
    "memory_reserved", "memory_stats", "report", "reset_peak_memory_stats",
]  # fmt: skip


def is_enabled() -> bool:
    """Whether large arrays may use fast kernels (and some engine for them is installed)."""
    return choices.state.wanted and any(choices.present(engine) for engine in choices.ENGINES)


def enable() -> None:
    """Let large arrays use fast kernels, as they do from the start unless WENGERT_FAST is 0."""
    choices.use(True)


def disable() -> None:
    """Leave arrays of all sizes to the reference kernels, and new memory to NumPy."""
    choices.use(False)
    if "wengert.kernels.cpu.pool" in _loaded_modules():
        _pool().uninstall()


@contextmanager
def disabled() -> Iterator[None]:
    """``with disabled():`` the reference kernels alone, in the whole process."""
    before = choices.state.wanted
    choices.use(False)
    try:
        yield
    finally:
        choices.use(before)


def _loaded_modules():
    import sys

    return sys.modules


def _pool():
    from wengert.kernels.cpu import pool

    return pool


def memory_stats() -> dict[str, int]:
    """What the pool of large blocks holds, by the names of `torch.cuda.memory_stats`; zeros before its first use."""
    return _pool().memory_stats()


def memory_allocated() -> int:
    """Bytes of the large arrays that live."""
    return _pool().memory_allocated()


def max_memory_allocated() -> int:
    """The most that `memory_allocated` has been since the start or `reset_peak_memory_stats`."""
    return _pool().max_memory_allocated()


def memory_reserved() -> int:
    """Bytes held from the system: those of living arrays, and those kept for the next."""
    return _pool().memory_reserved()


def reset_peak_memory_stats() -> None:
    """Measure `max_memory_allocated` anew from now on."""
    _pool().reset_peak_memory_stats()


def empty_cache() -> None:
    """Give all kept blocks back to the system."""
    _pool().empty_cache()


# --- the report -------------------------------------------------------------------------------------------------------


def report() -> str:
    """What is active, why, and how to get what is missing: the text of ``wengert doctor``."""
    lines = []
    for engine, (package, remedy) in choices.ENGINES.items():
        found = choices.installed(engine)
        if engine in choices.state.failed:
            lines.append(f"{engine:10} installed ({package} {found}), but fails: {choices.state.failed[engine]}")
        elif choices.present(engine):
            lines.append(f"{engine:10} active ({package} {found})")
        else:
            lines.append(f"{engine:10} missing: {remedy}")
    if not choices.state.wanted:
        why = "WENGERT_FAST=0" if not choices.setting() else "turned off by the program, or no engine is installed"
        lines.append(f"{'setting':10} off ({why}): every operation uses the reference kernels")
    lines += machine_lines() if choices.present("llvm") else []
    lines += ["", "operation (reference kernel, or its derivative)   from size  engine"]
    lines.append(f"{'all pointwise operations and their derivatives':48} {choices.POINTWISE:9,}  llvm")
    lines += [f"{key:48} {c.smallest:9,}  {c.engine}" for key, c in sorted(choices.CHOICES.items())]
    lines += ["", "operation, where the engine has a kernel for it         from work  engine"]
    for key, offers in sorted(choices.OFFERS.items()):
        lines += [f"{key:48} {c.smallest:12,}  {c.engine}" for c in offers]
    return "\n".join(lines)


def machine_lines():
    """The processor as LLVM sees it, the threads, the memory, the cache."""
    try:
        from wengert.kernels.cpu import native, threads
    except ImportError as error:
        return [f"{'llvm':10} fails to load: {error}"]
    pool = _pool()
    target = native.target()
    directory = native.cache_directory()
    files = list(directory.glob("*.o")) if directory else []
    size = sum(file.stat().st_size for file in files)
    cache = f"{directory}: {len(files)} kernels, {size / 1e6:.1f} MB" if directory else "none (no home directory)"
    return [
        f"{'processor':10} {target.processor}, vectors of {8 * target.vector_bytes} bits",
        f"{'threads':10} {threads.number()}",
        f"{'pool':10} {'on' if pool.wanted() else 'off (WENGERT_POOL=0)'}, blocks from {pool.SMALLEST:,} bytes",
        f"{'cache':10} {cache}",
    ]
