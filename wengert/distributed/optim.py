"""``torch.distributed.optim``: optimisers over several processes, refused by name."""

from wengert.absent import refuses

__path__: list[str] = []  # a package: see absent.Finder
refuses(
    globals(),
    classes=("DistributedOptimizer", "PostLocalSGDOptimizer", "ZeroRedundancyOptimizer"),
    why="has no process groups: torch.distributed.is_available() is False",
)
