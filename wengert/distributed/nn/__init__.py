"""``torch.distributed.nn``: operations over several processes that gradients flow through, refused by name."""

from wengert.absent import refuses

refuses(
    globals(),
    ("all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter",
     "scatter"),
    ("RemoteModule",),
    why="has no process groups: torch.distributed.is_available() is False",
)  # fmt: skip
