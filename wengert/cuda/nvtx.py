"""``torch.cuda.nvtx``: marks for NVIDIA's profiler, which is not here."""

import contextlib

from wengert.absent import refuses

refuses(
    globals(),
    ("range_push", "range_pop", "range_start", "range_end", "mark"),
    error=RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?"),
)


@contextlib.contextmanager
def range(msg, *args, **kwargs):
    """Mark what runs inside, a block or a decorated function; refused when it is entered."""
    range_push(msg.format(*args, **kwargs))  # type: ignore[name-defined]  # noqa: F821 - `refuses` has made it
    yield
