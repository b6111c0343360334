"""A program that loads data in every way there is, and prints what comes: run by test_data.py under both libraries."""

import itertools
import random
import sys

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
    random_split,
)


class Samples(Dataset):
    def __len__(self):
        return 23

    def __getitem__(self, index):
        reader = get_worker_info()
        return {
            "x": torch.randn(3) + index, "n": np.random.rand(2), "r": random.random(), "s": str(index),
            "reader": "nobody" if reader is None else f"{reader.id} of {reader.num_workers}, {reader.seed}",
        }  # fmt: skip


class Stream(IterableDataset):
    def __init__(self, length):
        self.length = length

    def __iter__(self):
        reader = get_worker_info()
        for i in range(self.length) if reader is None else range(reader.id, self.length, reader.num_workers):
            yield i, torch.rand(2)


class Broken(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 3:
            raise KeyError("no such thing")
        if index == 4:
            raise UnicodeDecodeError("utf-8", b"x", 0, 1, "of many arguments")
        return index


def gather(samples):
    return [sample if isinstance(sample, str) else sample["s"] for sample in samples]


def seed_differently(worker):
    random.seed(worker)


def loaders(method):
    workers = {"num_workers": 2, "multiprocessing_context": method}
    data = Samples()
    yield data, {**workers}
    yield data, {**workers, "shuffle": True}
    yield data, {**workers, "shuffle": True, "generator": torch.Generator().manual_seed(5)}
    yield data, {**workers, "num_workers": 1, "worker_init_fn": seed_differently, "drop_last": True}
    yield data, {**workers, "persistent_workers": True, "prefetch_factor": 3}
    yield data, {**workers, "batch_size": None}
    yield data, {**workers, "collate_fn": gather}
    yield data, {"sampler": WeightedRandomSampler(torch.rand(23), 12, generator=torch.Generator().manual_seed(1))}
    yield data, {"sampler": SubsetRandomSampler(range(5, 15)), **workers}
    yield data, {"sampler": DistributedSampler(data, 3, 1, seed=4), **workers}
    yield data, {"batch_size": 1, "batch_sampler": BatchSampler(range(9), 4, False), **workers}
    table = TensorDataset(torch.arange(10), torch.arange(20.0).reshape(10, 2))
    yield table, {**workers, "shuffle": True}
    yield Subset(table, [3, 1, 4]), workers
    yield ConcatDataset([table, table]), {**workers, "shuffle": True}
    yield StackDataset(a=table, b=table), workers
    for length in (0, 1, 7, 13):
        for options in ({}, {"drop_last": True}, {"batch_size": None}, {"persistent_workers": True}):
            yield Stream(length), {**workers, **options}


def main(method, few):
    for data, options in itertools.islice(loaders(method), 3 if few else None):
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)
        loader = DataLoader(data, **{"batch_size": 4, **options})
        for _ in range(2):
            for batch in loader:
                print(batch)
        print(None if isinstance(data, IterableDataset) else len(loader), torch.rand(1))
    batches = iter(DataLoader(Broken(), batch_size=1, num_workers=2, multiprocessing_context=method))
    while True:
        try:
            print(next(batches))
        except StopIteration:
            break
        except Exception as error:
            lines = str(error).splitlines()
            print(type(error), lines[:2], lines[-1])
    for split in random_split(range(10), [0.35, 0.35, 0.3], generator=torch.Generator().manual_seed(0)):
        print(list(split))


if __name__ == "__main__":
    torch.set_printoptions(precision=5)
    main(sys.argv[1], few=len(sys.argv) > 2)
