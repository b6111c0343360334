"""Start several processes that run one function, and hear of it when one fails."""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from multiprocessing import connection


class ProcessException(Exception):
    """One of several processes failed: which (`error_index`, `error_pid`), and how (`msg`)."""

    def __init__(self, msg, error_index, error_pid):
        super().__init__(msg)
        self.msg, self.error_index, self.error_pid = msg, error_index, error_pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """A process failed by an exception; the message holds its traceback."""


class ProcessExitedException(ProcessException):
    """A process was ended by a signal, or ended with another code than 0."""

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid, self.exit_code, self.signal_name)


def interrupt_with_parent():
    """Wait until the parent process is gone, then interrupt this one."""
    parent, pid = multiprocessing.parent_process(), os.getppid()
    while os.getppid() == pid and not connection.wait([parent.sentinel], 1.0):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def run(fn, index, args, report):
    """What a process does: call the function; leave the traceback of an exception in the file `report`."""
    threading.Thread(target=interrupt_with_parent, daemon=True).start()
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass  # the parent was interrupted too, or is gone
    except Exception:
        with open(report, "w", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        sys.exit(1)


class ProcessContext:
    """Processes that run; `join` waits for them."""

    def __init__(self, processes, folder):
        self.processes = processes
        self.folder = folder  # where they leave their reports; removed with this object
        self.sentinels = {process.sentinel: index for index, process in enumerate(processes)}

    def pids(self):
        """The processes' numbers."""
        return [process.pid for process in self.processes]

    def join(self, timeout=None, grace_period=None):
        """Wait until some have ended; when one fails, end the others and raise.

        Args:
            timeout: how many seconds to wait at most.
            grace_period: how many seconds the others have to end by themselves when one failed.
        Returns:
            Whether all have ended.
        Raises:
            ProcessRaisedException, ProcessExitedException: one failed.
        """
        if not self.sentinels:
            return True
        for sentinel in connection.wait(list(self.sentinels), timeout):
            index = self.sentinels.pop(sentinel)
            self.processes[index].join()
            if self.processes[index].exitcode != 0:
                self.end_all(grace_period)
                self.raise_failure(index)
        return not self.sentinels

    def end_all(self, grace_period):
        """End all processes, at first politely."""
        patience = 30 if grace_period is None else grace_period
        for end, wait in ((None, grace_period), ("terminate", patience), ("kill", None)):
            deadline = time.monotonic() + (wait or 0)
            for process in self.processes:
                if end is not None and process.is_alive():
                    getattr(process, end)()
            for process in self.processes:
                if wait is not None:
                    process.join(max(0.0, deadline - time.monotonic()))
        for process in self.processes:
            process.join()

    def raise_failure(self, index):
        """Raise what says how process `index` failed."""
        process = self.processes[index]
        report = os.path.join(self.folder.name, str(index))
        if os.path.exists(report):
            with open(report, encoding="utf-8") as file:
                message = f"\n\n-- Process {index} terminated with the following error:\n{file.read()}"
            raise ProcessRaisedException(message, index, process.pid)
        code, name = process.exitcode, None
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"<Unknown signal {-code}>"
        how = f"signal {name}" if name else f"exit code {code}"
        raise ProcessExitedException(f"process {index} terminated with {how}", index, process.pid, code, name)


class SpawnContext(ProcessContext):
    """The older name of `ProcessContext`."""

    def __init__(self, processes, folder):
        warnings.warn("SpawnContext is renamed to ProcessContext since 1.4 release.", stacklevel=2)
        super().__init__(processes, folder)


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run ``fn(i, *args)`` in `nprocs` processes, i from 0.

    Returns:
        None after all have ended; or with ``join=False`` a `ProcessContext`.
    Raises:
        ProcessRaisedException, ProcessExitedException: with ``join=True``, when one fails; the others are ended.
    """
    context = multiprocessing.get_context(start_method)
    folder = tempfile.TemporaryDirectory(prefix="wengert-processes-")
    processes = []
    for index in range(nprocs):
        report = os.path.join(folder.name, str(index))
        processes.append(context.Process(target=run, args=(fn, index, args, report), daemon=daemon))
        processes[-1].start()
    started = ProcessContext(processes, folder)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """`start_processes` with processes that are started afresh, so `fn` and `args` are pickled."""
    if start_method != "spawn":
        warnings.warn(
            f"This method only supports start_method=spawn (got: {start_method}).\nTo use a different start_method "
            "use:\n\t\t torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")
