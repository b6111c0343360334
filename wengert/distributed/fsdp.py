"""``torch.distributed.fsdp``: models shared out over several processes, refused by name."""

from wengert.absent import refuses

refuses(
    globals(),
    ("fully_shard",),
    (
        "BackwardPrefetch", "CPUOffload", "FSDPModule", "FullStateDictConfig", "FullyShardedDataParallel",
        "MixedPrecision", "ShardingStrategy", "StateDictType",
    ),
    why="has no process groups: torch.distributed.is_available() is False",
)  # fmt: skip
