"""Profilers: how long each call of a function took, measured from Python.

While one runs, a mode (`overrides.TorchFunctionMode`) stands between the program and every function of tensors, and
takes the time; `record_function` blocks are timed with them. What happens inside of one call, such as the operations of
a backward pass, is not told apart.
"""

import functools
import gzip
import json
import os
import threading
import time
import warnings

from wengert.overrides import TorchFunctionMode

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "profile", "record_function"]

_running: list = []  # recordings that are under way
_said = False


def _profiler_enabled():
    """Whether a profile is being made."""
    return bool(_running)


class FunctionEvent:
    """One call: its name, when it began and ended (µs), on which thread, and how long its inner calls took."""

    def __init__(self, name, start, thread):
        self.name = self.key = name
        self.start, self.end, self.thread = start, start, thread
        self.inner = 0.0
        self.count = 1

    @property
    def cpu_time_total(self):
        """How long it took, in µs."""
        return self.end - self.start

    cpu_time = cpu_time_total

    @property
    def self_cpu_time_total(self):
        """The same without inner calls."""
        return self.cpu_time_total - self.inner


class FunctionEventAvg:
    """All calls of one name."""

    def __init__(self, key):
        self.key, self.count, self.cpu_time_total, self.self_cpu_time_total = key, 0, 0.0, 0.0

    def add(self, event):
        """Count one more."""
        self.count += event.count
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total
        return self

    @property
    def cpu_time(self):
        """The mean, in µs."""
        return self.cpu_time_total / max(self.count, 1)

    device_time_total = self_device_time_total = device_time = cuda_time_total = cuda_time = 0
    cpu_memory_usage = self_cpu_memory_usage = flops = 0

    def __repr__(self):
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={shown(self.self_cpu_time_total)} "
            f"cpu_time={shown(self.cpu_time)}>"
        )


def shown(microseconds):
    """A time as text, in the unit that fits."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


class EventList(list):
    """Events, or averages of them."""

    @property
    def self_cpu_time_total(self):
        """The time of all, in µs."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False):
        """One `FunctionEventAvg` for each name."""
        found = {}
        for event in self:
            found.setdefault(event.key, FunctionEventAvg(event.key)).add(event)
        return EventList(found.values())

    def total_average(self):
        """All events in one."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    def table(self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=55,
              max_shapes_column_width=80, header=None, top_level_events_only=False, time_unit=None):  # fmt: skip
        """A table as text, sorted by an attribute such as ``"cpu_time_total"``, of the first `row_limit` rows."""
        events = self
        if sort_by is not None:
            attribute = sort_by.replace("cuda", "device")
            events = sorted(self, key=lambda event: getattr(event, attribute), reverse=True)
        events = events if row_limit < 0 else events[:row_limit]
        total = self.self_cpu_time_total or 1.0
        titles = ("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")
        rows = [
            (
                event.key[:max_name_column_width], f"{100 * event.self_cpu_time_total / total:.2f}%",
                shown(event.self_cpu_time_total), f"{100 * event.cpu_time_total / total:.2f}%",
                shown(event.cpu_time_total), shown(event.cpu_time_total / max(event.count, 1)), str(event.count),
            )
            for event in events
        ]  # fmt: skip
        widths = [max(12, *(len(row[i]) for row in (titles, *rows))) + 2 for i in range(len(titles))]
        rule = "  ".join("-" * width for width in widths)
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in (titles, *rows)]
        end = f"Self CPU time total: {shown(self.self_cpu_time_total)}\n"
        return "\n".join(([header] if header else []) + [rule, lines[0], rule, *lines[1:], rule, end])

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path):
        """Write the events as a file for Chrome's and Perfetto's viewers."""
        trace = [
            {"ph": "X", "cat": "cpu_op", "name": event.name, "pid": os.getpid(), "tid": event.thread,
             "ts": event.start, "dur": event.cpu_time_total}
            for event in self
        ]  # fmt: skip
        with gzip.open(path, "wt") if str(path).endswith(".gz") else open(path, "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 1, "traceEvents": trace}, file)


class Recording(TorchFunctionMode):
    """Takes the time of every call between `start` and `stop`."""

    def __init__(self):
        super().__init__()
        self.events = EventList()
        self.open = threading.local()
        self.over = False

    def start(self):
        """Begin."""
        global _said
        if not _said:
            _said = True
            warnings.warn(
                "wengert's profiler takes the time of calls from Python: what runs inside of one, such as backward(), "
                "is not told apart, and shapes, stacks, memory and flops are not recorded",
                UserWarning,
                stacklevel=4,
            )
        _running.append(self)
        self.__enter__()

    def stop(self):
        """End."""
        self.__exit__(None, None, None)
        _running.remove(self)
        self.over = True

    def begin(self, name):
        """A call begins."""
        event = FunctionEvent(name, time.perf_counter_ns() / 1e3, threading.get_ident())
        self.events.append(event)
        self.stack().append(event)
        return event

    def end(self, event):
        """It ends; with it whatever it began and did not end."""
        stack = self.stack()
        if event in stack:
            del stack[stack.index(event) :]
        event.end = time.perf_counter_ns() / 1e3
        if stack:
            stack[-1].inner += event.cpu_time_total

    def stack(self):
        """The calls of this thread that have begun and not ended."""
        if not hasattr(self.open, "stack"):
            self.open.stack = []
        return self.open.stack

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        if name in ("__get__", "__set__", "__delete__"):  # attributes such as `shape`
            return func(*args, **(kwargs or {}))
        event = self.begin(f"aten::{name}")
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.end(event)


class record_function:
    """A named block, or the calls of a function, among the events of the profilers that run.

    Args:
        name: what to call it.
        args: a text to keep with it.
    """

    def __init__(self, name, args=None):
        self.name, self.args = name, args

    def __enter__(self):
        self.begun = [(recording, recording.begin(self.name)) for recording in _running]
        return self

    def __exit__(self, *error):
        for recording, event in self.begun:
            recording.end(event)
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def recorded(*args, **kwargs):
            with record_function(self.name):
                return function(*args, **kwargs)

        return recorded


class profile:
    """A context that takes the time of the calls inside: see the module's docstring for what that means here.

    Args:
        enabled: False makes it a context that does nothing.
        **options: what else PyTorch's profiler would record; a warning says once that it isn't.
    """

    def __init__(self, enabled=True, *, use_cuda=False, use_device=None, record_shapes=False, with_flops=False,
                 profile_memory=False, with_stack=False, with_modules=False, use_kineto=False, use_cpu=True,
                 experimental_config=None, acc_events=False, custom_trace_id_callback=None):  # fmt: skip
        if use_cuda or use_device not in (None, "cpu"):
            warnings.warn("CUDA is not available, disabling CUDA profiling", stacklevel=2)
        self.enabled = enabled
        self.recording = Recording()

    def __enter__(self):
        if self.enabled:
            self.recording.start()
        return self

    def __exit__(self, *error):
        if self.enabled:
            self.recording.stop()
        return False

    @property
    def function_events(self):
        """All events."""
        return self.recording.events

    @property
    def self_cpu_time_total(self):
        """The time of all, in µs."""
        return self.function_events.self_cpu_time_total

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False):
        """One `FunctionEventAvg` for each name."""
        return self.function_events.key_averages()

    def total_average(self):
        """All events in one."""
        return self.function_events.total_average()

    def table(self, *args, **kwargs):
        """The events as a table: see `EventList.table`."""
        return self.function_events.table(*args, **kwargs)

    def export_chrome_trace(self, path):
        """Write the events as a file for Chrome's and Perfetto's viewers."""
        self.function_events.export_chrome_trace(path)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Refused: stacks are not recorded."""
        raise NotImplementedError("profile.export_stacks: wengert's profiler records no stacks")


class emit_nvtx:
    """Marks for NVIDIA's profiler: refused, it is not here."""

    def __init__(self, enabled=True, record_shapes=False):
        if enabled:
            raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False
