"""DistributedDataParallel: one model in several processes, refused."""

from wengert.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """A model that learns in several processes: refused, for there are no process groups here."""

    def __init__(self, module, *args, **kwargs):
        super().__init__()
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group. (wengert has "
            "no process groups: torch.distributed.is_available() is False.)"
        )
