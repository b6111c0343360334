"""``torch.utils.data``: datasets, the order to read them in, and the loader that makes batches of them."""

from wengert.outside import outside
from wengert.utils.data._utils.collate import default_collate, default_convert
from wengert.utils.data._utils.worker import get_worker_info
from wengert.utils.data.dataloader import DataLoader, _DatasetKind
from wengert.utils.data.datapipes.datapipe import DataChunk, IterDataPipe, MapDataPipe, functional_datapipe
from wengert.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from wengert.utils.data.distributed import DistributedSampler
from wengert.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataChunk", "DataLoader", "Dataset", "DistributedSampler",
    "IterDataPipe", "IterableDataset", "MapDataPipe", "RandomSampler", "Sampler", "SequentialSampler",
    "StackDataset", "Subset", "SubsetRandomSampler", "TensorDataset", "WeightedRandomSampler", "default_collate",
    "default_convert", "functional_datapipe", "get_worker_info", "random_split", "_DatasetKind",
]  # fmt: skip

__getattr__ = outside(__name__)
