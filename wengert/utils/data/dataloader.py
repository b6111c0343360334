"""DataLoader: batches of a dataset's samples, in the order of a sampler, read here or by worker processes.

The order for a seed is PyTorch's: each iteration asks the sampler for an iterator, then draws a base seed for workers
from the generator (also where there are none). Which worker gets which batch is PyTorch's too, so that what a dataset
draws at random in a worker is the same.
"""

import itertools
import multiprocessing
import os
import warnings
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from wengert.random import Generator
from wengert.utils.data._utils.collate import default_collate, default_convert
from wengert.utils.data._utils.crew import Crew
from wengert.utils.data._utils.fetch import MapFetcher, StreamFetcher
from wengert.utils.data._utils.worker import ENDED, RESUME, Duty, ExceptionWrapper, get_worker_info
from wengert.utils.data.dataset import IterableDataset
from wengert.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

_T = TypeVar("_T")
_collate_fn_t = Callable[[list[_T]], Any]
_worker_init_fn_t = Callable[[int], None]


class _DatasetKind:
    Map, Iterable = 0, 1


class _InfiniteConstantSampler(Sampler):
    """None, without end: the sampler of a stream, which decides for itself what comes next."""

    def __iter__(self):
        return itertools.repeat(None)


class DataLoader:
    """An iterable of batches.

    Args:
        dataset: with ``__getitem__`` and ``__len__``, or an `IterableDataset`.
        batch_size: samples in a batch; None for single samples, converted but not stacked.
        shuffle: whether each iteration has a new random order.
        sampler, batch_sampler: the order, or the order in batches, instead.
        num_workers: how many processes read; 0 for the program's own.
        collate_fn: makes a batch from a list of samples.
        pin_memory, pin_memory_device: for accelerators, of which there are none: a warning says so.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch of a worker; 0 for any time.
        worker_init_fn: called with the worker's number in each worker, after its random numbers are seeded.
        multiprocessing_context: how to start workers: "fork", "spawn", "forkserver" or a context.
        generator: source of the random numbers; default the global one.
        prefetch_factor: batches that each worker makes ahead; default 2.
        persistent_workers: keep the workers from one iteration to the next.
        in_order: False gives the batches of workers as they come.
    Raises:
        ValueError: arguments that exclude one another.
    """

    _initialized = False
    _fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")

    def __init__(self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0,
                 collate_fn=None, pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None,
                 multiprocessing_context=None, generator=None, *, prefetch_factor=None, persistent_workers=False,
                 pin_memory_device="", in_order=True):  # fmt: skip
        check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers)
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        self.dataset, self.num_workers, self.generator = dataset, num_workers, generator
        self.pin_memory, self.pin_memory_device, self.in_order = pin_memory, pin_memory_device, in_order
        self.timeout, self.worker_init_fn = timeout, worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor, self.persistent_workers = prefetch_factor, persistent_workers
        iterable = isinstance(dataset, IterableDataset)
        if hasattr(dataset, "_ordered"):  # a DataPipe shuffles by itself
            self.dataset = dataset = dataset._ordered(shuffle)
            shuffle = None if iterable else shuffle
        self._dataset_kind = _DatasetKind.Iterable if iterable else _DatasetKind.Map
        check_order(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size = None
        if sampler is None:
            if iterable:
                sampler = _InfiniteConstantSampler()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self._iterator = self._IterableDataset_len_called = None
        self._initialized = True
        self.check_worker_number_rationality()

    def __setattr__(self, name, value):
        if self._initialized and name in self._fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self):
        """How workers are started; None for Python's default."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        self._multiprocessing_context = checked_context(context, self.num_workers)

    @property
    def _auto_collation(self):
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def _get_iterator(self):
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self)

    def __iter__(self):
        if not (self.persistent_workers and self.num_workers > 0):
            return self._get_iterator()
        if self._iterator is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator

    def __len__(self):
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        count = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def check_worker_number_rationality(self):
        """Warn of more workers than there are processors to run them."""
        asked = hasattr(os, "sched_getaffinity")
        available = len(os.sched_getaffinity(0)) if asked else os.cpu_count()
        if self.num_workers and (available is None or self.num_workers > available):
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number "
                f"of worker in current system is {available}{'' if asked else ' (`cpuset` is not taken into account)'}"
                ", which is smaller than what this DataLoader is going to create. Please be aware that excessive "
                "worker creation might get DataLoader running slow or even freeze, lower the worker number to avoid "
                "potential slowness/freeze if necessary.",
                stacklevel=2,
            )


def check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers):
    """Raise ValueError for options of workers that make no sense, or none without workers."""
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def check_order(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last):
    """Raise ValueError for ways to say the order that exclude one another."""
    if iterable:
        options = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in options.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


def checked_context(context, num_workers):
    """The `multiprocessing` context that is meant, by its name or by itself.

    Raises ValueError for an unknown name or where there are no workers, TypeError for what is no context.
    """
    if context is None:
        return None
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
            f"num_workers={num_workers}"
        )
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                f"multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got multiprocessing_context={context}"
        )
    return context


# --- iterators --------------------------------------------------------------------------------------------------------


class _BaseDataLoaderIter:
    """One iteration over a loader: what reading here and reading by workers have in common."""

    def __init__(self, loader):
        if loader.pin_memory and loader.pin_memory_device:
            warnings.warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the device,ignore "
                f"pin_memory_device='{loader.pin_memory_device}'.",
                stacklevel=2,
            )
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be "
                "used.",
                stacklevel=2,
            )
        self._dataset, self._dataset_kind = loader.dataset, loader._dataset_kind
        if hasattr(self._dataset, "_seeded"):
            self._dataset._seeded(Generator().manual_seed(draw_seed(loader.generator)))
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._auto_collation, self._collate_fn = loader._auto_collation, loader.collate_fn
        self._drop_last, self._index_sampler = loader.drop_last, loader._index_sampler
        self._num_workers, self._timeout = loader.num_workers, loader.timeout
        self._persistent_workers = loader.persistent_workers
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = draw_seed(loader.generator)
        self._num_yielded = 0

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._index_sampler)

    def _reset(self, loader):
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = loader._IterableDataset_len_called

    def _next_index(self):
        return next(self._sampler_iter)

    def __next__(self):
        batch = self._next_data()
        self._num_yielded += 1
        announced = self._IterableDataset_len_called
        if announced is not None and self._num_yielded > announced:
            self._warn_of_length(announced)
        return batch

    def _warn_of_length(self, announced):
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be {announced}(when accessing "
            f"len(dataloader)), but {self._num_yielded} samples have been fetched. "
        )
        if self._num_workers > 0:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
            )
        warnings.warn(message, stacklevel=3)

    def __getstate__(self):
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Reads here."""

    def __init__(self, loader):
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        kind = StreamFetcher if self._dataset_kind == _DatasetKind.Iterable else MapFetcher
        self._dataset_fetcher = kind(self._dataset, self._auto_collation, self._collate_fn, self._drop_last)

    def _next_data(self):
        return self._dataset_fetcher.fetch(self._next_index())


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Has workers read, each some batches ahead.

    Tasks are numbered in the sampler's order and go to the workers in turn. `_assigned` says for each task not yet
    returned which worker has it, `_arrived` holds the outcomes that came before their turn.
    """

    def __init__(self, loader):
        super().__init__(loader)
        self._prefetch_factor, self._in_order = loader.prefetch_factor, loader.in_order
        if self._prefetch_factor <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._shutdown = False
        self._crew = Crew(loader.multiprocessing_context or multiprocessing.get_context(), self._duties(loader))
        self._workers = self._crew.processes
        self._dismiss = weakref.finalize(self, self._crew.dismiss)
        if hasattr(self._dataset, "_seeded"):
            if self._persistent_workers:
                raise NotImplementedError("DataLoader(persistent_workers=True) of a DataPipe is not supported")
            draw_seed(loader.generator)  # as PyTorch does once more when the workers are there
        self._start_tasks()

    def _duties(self, loader):
        for worker in range(self._num_workers):
            yield Duty(
                worker, self._num_workers, self._dataset, self._dataset_kind == _DatasetKind.Iterable,
                self._auto_collation, self._collate_fn, self._drop_last, self._base_seed, loader.worker_init_fn,
            )  # fmt: skip

    def _reset(self, loader):
        """Begin a new iteration with the same workers."""
        super()._reset(loader)
        for worker in range(self._num_workers):
            self._crew.order(worker, RESUME)
        waiting = set(range(self._num_workers))
        while waiting:
            worker, (task, _) = self._answer(sorted(waiting))
            if task is RESUME:  # anything else belongs to the iteration that was left
                waiting.discard(worker)
        self._start_tasks()

    def _start_tasks(self):
        self._next_task = self._next_return = 0
        self._assigned, self._arrived = {}, {}
        self._workers_status = [True] * self._num_workers
        self._load = [0] * self._num_workers
        self._turns = itertools.cycle(range(self._num_workers))
        for _ in range(self._prefetch_factor * self._num_workers):
            self._assign_task()

    def _assign_task(self):
        """Give the sampler's next word to the next worker, if there is one and a worker that still has samples."""
        try:
            order = self._next_index()
        except StopIteration:
            return
        limit = self._prefetch_factor * self._num_workers
        for worker in itertools.islice(self._turns, self._num_workers):
            if self._workers_status[worker] and (
                self._in_order or self._load[worker] < limit // sum(self._workers_status)
            ):
                break
        else:
            return
        self._crew.order(worker, (self._next_task, order))
        self._assigned[self._next_task] = worker
        self._load[worker] += 1
        self._next_task += 1

    def _answer(self, workers):
        answer = self._crew.answer(workers, self._timeout or None)
        if answer is None:
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        return answer

    def _task_due(self):
        """The task to return next; None if there is none. Tasks of a worker whose stream has ended come to nothing."""
        while self._next_return < self._next_task:
            worker = self._assigned.get(self._next_return)
            if worker is not None:
                if self._workers_status[worker] or self._next_return in self._arrived:
                    return self._next_return
                del self._assigned[self._next_return]
            self._next_return += 1
        return None

    def _next_data(self):
        while (due := self._task_due()) is not None:
            if due in self._arrived:
                return self._hand_out(due, self._arrived.pop(due))
            wanted = [self._assigned[due]] if self._in_order else self._busy_workers()
            worker, (task, outcome) = self._answer(wanted)
            if outcome is ENDED:
                self._end_stream(worker)
            elif task == due or not self._in_order:
                return self._hand_out(task, outcome)
            else:
                self._arrived[task] = outcome
        if not self._persistent_workers:
            self._shutdown_workers()
        raise StopIteration

    def _busy_workers(self):
        return [worker for worker in sorted({*self._assigned.values()}) if self._workers_status[worker]]

    def _end_stream(self, worker):
        self._workers_status[worker] = False
        if not self._persistent_workers:
            self._crew.retire(worker)
        self._assign_task()

    def _hand_out(self, task, outcome):
        self._load[self._assigned.pop(task)] -= 1
        self._assign_task()
        if isinstance(outcome, ExceptionWrapper):
            outcome.reraise()
        return outcome

    def _shutdown_workers(self):
        """End the workers, once."""
        self._shutdown = True
        self._dismiss()
