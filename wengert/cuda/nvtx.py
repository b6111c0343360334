"""``torch.cuda.nvtx``: marks for NVIDIA's profiler, which is not here."""

from wengert.absent import refuses

refuses(
    globals(),
    ("range_push", "range_pop", "range_start", "range_end", "mark", "range"),
    error=RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?"),
)
