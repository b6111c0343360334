"""The threads that share the work of large kernels.

There is one pool in the process. Its threads are made by the system's own call, run compiled code only, and never ask
for the GIL. Work is handed to them by `wengert_parallel` (see runtime.ll). How many threads take part follows
`set_num_threads`, else OMP_NUM_THREADS, else the processors on which this process may run.
"""

import ctypes
import os
import sys
from functools import cache

from wengert.kernels.cpu import native

_started = 0  # helpers of this process
_wanted = 0  # threads that are to take part, once that is known
_limit = 0  # what the runtime was told


def available():
    """How many threads are to be used unless the program says otherwise: OMP_NUM_THREADS, if that is a number of any,
    else the processors on which this process may run.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdecimal() and int(first):
        return int(first)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number():
    """How many threads take part in a kernel, the caller's included."""
    global _wanted
    if not _wanted:
        settings = sys.modules.get("wengert.settings")  # what `set_num_threads` said before this module was needed
        _wanted = getattr(getattr(settings, "_settings", None), "threads", None) or available()
    return _wanted


def alone():
    """Whether the kernels' threads are in use, and BLAS was left with one."""
    return _started > 0


def rest():
    """Send helpers that look out for work to sleep: a library with its own threads is about to use the processors."""
    if _started:
        native.runtime().threads_rest()


def choose(count):
    """Let `count` threads take part from now on; helpers that are missing are started when the pool is."""
    global _wanted
    _wanted = count
    if _started:
        start()


def start():
    """Have as many helpers as are wanted; called before a kernel runs."""
    global _started, _limit
    if _limit == number():
        return
    runtime = native.runtime()
    if not _started:
        runtime.threads_reset(1)
        _started = 1  # the caller
    system = ctypes.CDLL(None)
    while _started < number():
        identity = ctypes.c_ulong()
        worker = ctypes.c_void_p(runtime.addresses["wengert_worker"])
        if system.pthread_create(ctypes.byref(identity), None, worker, ctypes.c_void_p(_started)):
            break  # the system has no more threads to give: fewer do the same work
        system.pthread_detach(identity)
        _started += 1
    runtime.threads_limit(min(number(), _started))
    _limit = number()


@cache
def _parallel():
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return kind(native.runtime().addresses["wengert_parallel"])


def share(task, argument, count):
    """Run the compiled ``task(argument, k)`` for each k below `count`, on all threads."""
    start()
    _parallel()(task, ctypes.addressof(argument), count)


def after_fork():
    """A forked child has none of its parent's helpers: start over."""
    global _started, _limit
    if _started:
        _started = _limit = 0
        native.runtime().memory_after_fork()
        start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
