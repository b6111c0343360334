"""DataLoader: batches of a dataset's samples, in the order of a sampler, read in the program's own process.

The order for a seed is PyTorch's: each iteration draws a base seed from the generator, then the sampler its own.
"""

import warnings

from wengert.utils.data._utils.collate import default_collate, default_convert
from wengert.utils.data.dataset import IterableDataset
from wengert.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed

__all__ = ["DataLoader"]


class _DatasetKind:
    Map, Iterable = 0, 1


class DataLoader:
    """An iterable of batches.

    Args:
        dataset: with ``__getitem__`` and ``__len__``, or an `IterableDataset`.
        batch_size: samples in a batch; None for single samples, converted but not stacked.
        shuffle: whether each iteration has a new random order.
        sampler, batch_sampler: the order, or the order in batches, instead.
        collate_fn: makes a batch from a list of samples.
        drop_last: leave out a last batch that is not full.
        generator: source of the random numbers; default the global one.
        pin_memory, prefetch_factor, pin_memory_device: speed up workers and devices, of which there are none.
    Raises:
        NotImplementedError: worker processes (`num_workers` above 0, with `persistent_workers`, `timeout`).
        ValueError: arguments that exclude one another.
    """

    def __init__(self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0,
                 collate_fn=None, pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None,
                 multiprocessing_context=None, generator=None, *, prefetch_factor=None, persistent_workers=False,
                 pin_memory_device="", in_order=True):  # fmt: skip
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if num_workers:
            raise NotImplementedError(
                f"DataLoader: wengert has no worker processes yet (num_workers={num_workers}); with num_workers=0 the "
                "batches are the same"
            )
        if timeout or persistent_workers or prefetch_factor is not None or multiprocessing_context is not None:
            raise ValueError("timeout, persistent_workers and prefetch_factor need worker processes: num_workers > 0")
        self.dataset, self.num_workers, self.generator = dataset, num_workers, generator
        self.pin_memory, self.pin_memory_device, self.in_order = pin_memory, pin_memory_device, in_order
        self.timeout, self.worker_init_fn, self.multiprocessing_context = timeout, worker_init_fn, None
        self.prefetch_factor, self.persistent_workers = prefetch_factor, persistent_workers
        if pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.",
                UserWarning,
                stacklevel=2,
            )
        iterable = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if iterable else _DatasetKind.Map
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader with IterableDataset: expected unspecified shuffle, sampler and batch_sampler")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None and not iterable and batch_sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None and not iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)

    def __iter__(self):
        draw_seed(self.generator)  # the base seed of workers: drawn also where there are none, as in PyTorch
        return self._batches()

    def _batches(self):
        if self._dataset_kind == _DatasetKind.Iterable:
            yield from self._batches_of_stream()
        elif self.batch_sampler is not None:
            for indices in self.batch_sampler:
                yield self.collate_fn(self._samples(indices))
        else:
            for index in self.sampler:
                yield self.collate_fn(self.dataset[index])

    def _samples(self, indices):
        fetch_many = getattr(self.dataset, "__getitems__", None)
        return fetch_many(indices) if fetch_many else [self.dataset[index] for index in indices]

    def _batches_of_stream(self):
        if self.batch_size is None:
            yield from map(self.collate_fn, self.dataset)
            return
        batch = []
        for sample in self.dataset:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self.collate_fn(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.collate_fn(batch)

    def __len__(self):
        if self._dataset_kind == _DatasetKind.Iterable:
            count = len(self.dataset)
            if self.batch_size is None:
                return count
            return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)
