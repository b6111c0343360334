"""DistributedDataParallel: one model in several processes, refused."""

from wengert.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """A model that learns in several processes: refused, for there are no process groups here."""

    def __init__(self, module, *args, **kwargs):
        super().__init__()
        from wengert.distributed import get_rank

        get_rank()  # raises what says why
