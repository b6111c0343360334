"""``torch.distributed.nn``: operations over several processes that gradients flow through, which need a group."""

from wengert.absent import refuses
from wengert.distributed import NO_GROUP

refuses(
    globals(),
    ("all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter",
     "scatter"),
    ("RemoteModule",),
    error=NO_GROUP,
)  # fmt: skip
