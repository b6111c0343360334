"""Workers: processes that read samples and make batches of them for a loader in another process.

The loader sends orders through a `Channel`, ``(task, what the sampler said)``; a worker answers each with ``(task,
outcome)``, where the outcome is a batch, an `ExceptionWrapper`, or `ENDED` from a stream that has no more. `RESUME`
begins an iteration anew, and None ends the worker. A thread of the worker takes the orders in, so that the loader never
waits to send one, and ends the process when the loader's process is gone, whatever the dataset is busy with.
"""

import contextlib
import multiprocessing
import os
import queue
import random
import sys
import threading
import traceback
from dataclasses import dataclass
from enum import Enum
from multiprocessing import connection
from typing import Any

import numpy as np

import wengert
from wengert.utils.data._utils.channel import Channel
from wengert.utils.data._utils.fetch import MapFetcher, StreamFetcher

__all__ = ["ExceptionWrapper", "WorkerInfo", "get_worker_info"]


class Signal(Enum):
    """What is said beside orders and batches; a member stays itself on its way to another process."""

    RESUME = "begin the iteration anew"
    ENDED = "the stream has no more"


RESUME, ENDED = Signal
PARENT_CHECK = 1.0  # seconds between two looks at whether the parent lives, where the system doesn't tell


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Who a worker process is: what `get_worker_info` returns in one.

    Attributes:
        id: from 0 to ``num_workers - 1``.
        num_workers: how many workers read for the loader.
        seed: what this worker's random numbers are seeded with.
        dataset: this worker's own copy.
        rng, worker_method: None and "multiprocessing"; PyTorch's workers that are threads have others.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str | None = "multiprocessing"


_worker_info: WorkerInfo | None = None


def get_worker_info():
    """The `WorkerInfo` of the worker process that this is called in; None in the program's own process."""
    return _worker_info


class KeyErrorMessage(str):
    """A text that KeyError, which shows the repr of its argument, shows as it is."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


class ExceptionWrapper:
    """An exception on its way to another process: its class, and its traceback as text.

    Args:
        exc_info: as `sys.exc_info()` gives it, the default.
        where: the place to name, as in "in DataLoader worker process 0".
    """

    def __init__(self, exc_info=None, where="in background"):
        exc_info = exc_info or sys.exc_info()
        self.exc_type = exc_info[0]
        self.exc_msg = "".join(traceback.format_exception(*exc_info))
        self.where = where

    def reraise(self):
        """Raise the exception's class with the traceback as its message; RuntimeError if the class can't be made so."""
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = KeyErrorMessage(message)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)
        try:
            exception = self.exc_type(message)
        except Exception:  # a class that wants other arguments
            raise RuntimeError(message) from None
        raise exception


def _generate_state(base_seed, worker_id):
    """The seed of NumPy's generator in a worker: neighbouring seeds would give it and Python's the same numbers, so it
    gets mixed ones.
    """
    mixed = np.random.SeedSequence([worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0])
    return [int(word) for word in mixed.generate_state(4)]


@dataclass
class Duty:
    """What a worker is started with: how to fetch, and how to seed."""

    id: int
    num_workers: int
    dataset: Any
    is_stream: bool
    auto_collation: bool
    collate_fn: Any
    drop_last: bool
    base_seed: int
    init_fn: Any

    def fetcher(self):
        """A fetcher that begins at the beginning."""
        kind = StreamFetcher if self.is_stream else MapFetcher
        return kind(self.dataset, self.auto_collation, self.collate_fn, self.drop_last)

    def begin(self):
        """Seed every source of random numbers as PyTorch does, and call the program's function for new workers."""
        global _worker_info
        seed = self.base_seed + self.id
        random.seed(seed)
        wengert.manual_seed(seed)
        np.random.seed(_generate_state(self.base_seed, self.id))  # noqa: NPY002 - the generator that programs use
        _worker_info = WorkerInfo(self.id, self.num_workers, seed, self.dataset)
        if hasattr(self.dataset, "_for_worker"):
            self.dataset._for_worker(self.id, self.num_workers)
        if self.init_fn is not None:
            self.init_fn(self.id)

    def caught(self):
        """The exception being handled, as the loader will raise it."""
        return ExceptionWrapper(where=f"in DataLoader worker process {self.id}")


def work(duty, connection_here, connections_of_others):
    """A worker process, from its start to its end.

    Args:
        duty: what to do.
        connection_here: the worker's end of its pipe.
        connections_of_others: ends that a forked process inherits and mustn't keep open.
    """
    for other in connections_of_others:
        other.close()
    channel, orders = Channel(connection_here), queue.SimpleQueue()
    threading.Thread(target=take_orders, args=(channel, orders, os.getppid()), daemon=True).start()
    wengert.settings.use_one_thread()
    # The program was interrupted, or the loader has gone: nobody to tell.
    with contextlib.suppress(KeyboardInterrupt, OSError, EOFError):
        answer_orders(duty, channel, orders)


def answer_orders(duty, channel, orders):
    """Answer order by order until told to end."""
    failure = None
    try:
        duty.begin()
        fetcher = duty.fetcher()
    except Exception:
        failure = duty.caught()  # the answer to the first order
    ended = False
    while (order := orders.get()) is not None:
        if order is RESUME:
            ended = False
            channel.send((RESUME, None))
            try:
                fetcher = duty.fetcher()
            except Exception:
                failure = duty.caught()
            continue
        if ended:
            continue
        task, what = order
        if failure is not None:
            outcome, failure = failure, None
        else:
            outcome = fetch(duty, fetcher, what)
        ended = outcome is ENDED
        answer(duty, channel, task, outcome)


def fetch(duty, fetcher, what):
    """The outcome of one order."""
    try:
        return fetcher.fetch(what)
    except Exception as error:
        return ENDED if isinstance(error, StopIteration) and duty.is_stream else duty.caught()


def answer(duty, channel, task, outcome):
    """Send an outcome; or, if it can't be pickled, why not."""
    try:
        channel.send((task, outcome))
    except OSError:
        raise
    except Exception:
        if isinstance(outcome, ExceptionWrapper):  # a class that the other process can't find
            outcome.exc_type = RuntimeError
            channel.send((task, outcome))
        else:
            channel.send((task, duty.caught()))


def take_orders(channel, orders, parent_pid):
    """Put what the loader sends into `orders`; end the process at once when the loader's process is gone."""
    parent = multiprocessing.parent_process()
    while os.getppid() == parent_pid:
        try:
            ready = connection.wait([channel.connection, parent.sentinel], PARENT_CHECK)
            if channel.connection in ready:
                order = channel.receive()
                while order is None and not orders.empty():
                    orders.get_nowait()  # ordered before, and wanted no more
                orders.put(order)
                if order is None:
                    return
            elif ready:
                break
        except (EOFError, OSError):
            break
    os._exit(1)
