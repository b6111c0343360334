"""``torch.distributed.fsdp``: models shared out over several processes, refused by name."""

from wengert.absent import refuses

__path__: list[str] = []  # a package: see absent.Finder
refuses(
    globals(),
    ("fully_shard", "register_fsdp_forward_method"),
    (
        "BackwardPrefetch", "CPUOffload", "CPUOffloadPolicy", "FSDPModule", "FullOptimStateDictConfig",
        "FullStateDictConfig", "FullyShardedDataParallel", "LocalStateDictConfig", "MixedPrecision",
        "MixedPrecisionPolicy", "OffloadPolicy", "OptimStateKeyType", "ShardedOptimStateDictConfig",
        "ShardedStateDictConfig", "ShardingStrategy", "StateDictType",
    ),
    why="has no process groups: torch.distributed.is_available() is False",
)  # fmt: skip
