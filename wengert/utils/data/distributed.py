"""DistributedSampler: the part of a dataset that one of several processes reads."""

import math

import wengert
from wengert.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler):
    """Every `num_replicas`-th index of one common order, beginning with the `rank`-th.

    Args:
        dataset: anything with a length.
        num_replicas, rank: how many processes there are, and which of them this is; here both must be given, for there
            is no process group to ask.
        shuffle: whether the common order is random, from `seed` and the epoch.
        seed: the same for all processes.
        drop_last: leave the tail out, instead of repeating the beginning, so that all get the same number.

    Raises:
        RuntimeError: `num_replicas` or `rank` missing.
        ValueError: a rank that does not exist.
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            raise ValueError(
                "Default process group has not been initialized, please make sure to call init_process_group. (wengert "
                "has no process groups: give num_replicas and rank.)"
            )
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        self.shuffle = shuffle
        self.seed = seed
        share = len(dataset) / num_replicas
        self.num_samples = math.floor(share) if drop_last else math.ceil(share)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        count = len(self.dataset)
        if self.shuffle:
            generator = wengert.Generator().manual_seed(self.seed + self.epoch)
            order = wengert.randperm(count, generator=generator).tolist()
        else:
            order = list(range(count))
        if not self.drop_last:
            order = (order * math.ceil(self.total_size / max(count, 1)))[: self.total_size]
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Make the next iteration's order that of `epoch`; to be called in every process alike."""
        self.epoch = epoch
