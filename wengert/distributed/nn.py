"""``torch.distributed.nn``: collective operations with gradients, which need a process group."""

from wengert.absent import refuses
from wengert.distributed import NO_GROUP

refuses(
    globals(),
    ("all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter",
     "scatter"),
    error=NO_GROUP,
)  # fmt: skip
