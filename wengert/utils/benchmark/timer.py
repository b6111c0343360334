"""Timer: runs a statement until its time is known."""

import enum
import timeit
from timeit import default_timer as timer

import numpy as np

from wengert import settings
from wengert.utils.benchmark.measurement import Measurement, Task

__all__ = ["Language", "Timer", "timer"]

MAX_RUNS = 2**31


class Language(enum.Enum):
    """In which a statement is written; here it is Python."""

    PYTHON, CPP = 0, 1


class Timer:
    """Measures a statement.

    Args:
        stmt, setup: Python code; `setup` runs once before each measurement.
        timer: gives the time, in seconds.
        globals: the names that the code sees, besides `torch`.
        label, sub_label, description, env: what to call the measurement in tables: its row's title, its row, its
            column, and which of several environments it was taken in.
        num_threads: how many threads to allow.
        language: Python.
    Raises:
        NotImplementedError: code in C++.
    """

    def __init__(self, stmt="pass", setup="pass", global_setup="", timer=timer, globals=None, label=None,
                 sub_label=None, description=None, env=None, num_threads=1, language=Language.PYTHON):  # fmt: skip
        if language not in (Language.PYTHON, "py", "python"):
            raise NotImplementedError(f"Timer: language={language}: wengert measures Python only")
        if global_setup:
            raise ValueError(f"global_setup is C++ only, got `{global_setup}`; it may belong in `setup`.")
        import wengert

        names = {"torch": wengert, **(globals or {})}
        self.task = Task(stmt, setup, label, sub_label, description, env, num_threads)
        self._timer = timeit.Timer(stmt=stmt, setup=setup, timer=timer, globals=names)

    def _times(self, number):
        """Seconds for `number` runs, in the number of threads that was asked for."""
        before = settings.get_num_threads()
        changed = before != self.task.num_threads
        try:
            if changed:
                settings.set_num_threads(self.task.num_threads)
            return max(self._timer.timeit(number), 1e-9)
        finally:
            if changed:
                settings.set_num_threads(before)

    def timeit(self, number=1_000_000):
        """A `Measurement` of one series of `number` runs."""
        self._times(max(number // 100, 2))  # warm up
        return Measurement(number, [self._times(number)], self.task)

    def repeat(self, repeat=-1, number=-1):
        """Refused, as in PyTorch: see `timeit`, `blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback=None):
        """Refused, as in PyTorch: see `blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _block_size(self, min_run_time):
        """How many runs to time together, so that asking for the time costs little beside them."""
        overhead = np.median([self._times(0) for _ in range(5)])
        number = 1
        while True:
            taken = self._times(number)
            if overhead / taken <= 1e-4 and taken >= min_run_time / 1000:
                return number
            if taken > min_run_time or number > MAX_RUNS:
                return number
            number *= 10

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """A `Measurement` of as many blocks of runs as fit into `min_run_time` seconds."""
        number = self._block_size(min_run_time)
        times = []
        while sum(times) < min_run_time:
            times.append(self._times(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self.task)

    def adaptive_autorange(self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None):
        """Like `blocked_autorange`, until the middle half of the blocks differs by less than `threshold` of the median.
        """
        number = self._block_size(min_run_time)
        times = []
        while sum(times) < max_run_time:
            times.append(self._times(number))
            if callback is not None:
                callback(number, times[-1])
            found = Measurement(number, times, self.task)
            if sum(times) >= min_run_time and len(times) > 3 and found.iqr / found.median < threshold:
                break
        return Measurement(number, times, self.task)

    def collect_callgrind(self, number=100, **options):
        """Refused: instructions are not counted."""
        raise NotImplementedError("Timer.collect_callgrind: wengert counts no instructions")
