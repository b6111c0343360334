"""``torch.distributed.tensor``: tensors spread over processes. There are none, so `isinstance` answers False."""

from wengert.absent import refuses

__path__: list[str] = []  # a package: see absent.Finder
refuses(
    globals(),
    ("distribute_module", "distribute_tensor", "empty", "full", "ones", "rand", "randn", "zeros"),
    ("DTensor", "DeviceMesh", "Partial", "Placement", "Replicate", "Shard"),
    why="has no process groups to spread tensors over",
)
