"""``torch.multiprocessing``: Python's module of that name, whose queues and pipes pass tensors without copying them.

A tensor that goes through a queue, or to a process as an argument, is moved to shared memory first: sender and receiver
see each other's writes. So do processes that are forked, or started with a model, after `share_memory`.
"""

import multiprocessing
import sys
import threading
from multiprocessing import *  # noqa: F403 - this module is that one, and more

from wengert.multiprocessing import reductions
from wengert.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = [  # noqa: PLE0604 - names of another module are strings too
    *multiprocessing.__all__, "ProcessContext", "ProcessExitedException", "ProcessRaisedException", "SpawnContext",
    "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn", "start_processes",
]  # fmt: skip

reductions.init_reductions()

_sharing_strategy = "file_system" if sys.platform in ("darwin", "win32") else "file_descriptor"


def get_all_sharing_strategies():
    """The names of PyTorch's strategies on this system."""
    return {"file_system", _sharing_strategy}


def get_sharing_strategy():
    """The name that was set."""
    return _sharing_strategy


def set_sharing_strategy(new_strategy):
    """Choose between PyTorch's strategies by name; memory is shared by descriptors of files whatever the name.

    Raises AssertionError for an unknown one.
    """
    global _sharing_strategy
    known = get_all_sharing_strategies()
    if new_strategy not in known:
        raise AssertionError(f"invalid sharing strategy {new_strategy!r}, expected one of {known}")
    _sharing_strategy = new_strategy


def _set_thread_name(name):
    threading.current_thread().name = name


def _get_thread_name():
    return threading.current_thread().name
