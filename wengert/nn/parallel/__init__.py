"""``torch.nn.parallel``: models over several devices. There is one device here, so `DataParallel` calls its module."""

from wengert.nn.parallel.data_parallel import DataParallel, data_parallel
from wengert.nn.parallel.distributed import DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]
