"""``torch.distributed.optim``: optimisers over several processes, refused by name."""

from wengert.absent import refuses

refuses(
    globals(),
    classes=("DistributedOptimizer", "PostLocalSGDOptimizer", "ZeroRedundancyOptimizer"),
    why="has no process groups: torch.distributed.is_available() is False",
)
