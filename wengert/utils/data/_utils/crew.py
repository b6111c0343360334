"""Crew: the worker processes of an iterator, as seen from the loader's side: hire them, order, wait, dismiss them."""

import contextlib
import os
import signal
import time
import warnings
from multiprocessing import connection
from pickle import PicklingError

from wengert.utils.data._utils.channel import Channel
from wengert.utils.data._utils.worker import work

PATIENCE = 5.0  # seconds that dismissed workers have to finish what they are at


class Crew:
    """Worker processes, each with a channel.

    Args:
        context: a `multiprocessing` context, which says how processes are started.
        duties: a `Duty` for each.
    """

    def __init__(self, context, duties):
        self.owner = os.getpid()
        self.processes, self.channels = [], []
        self.retired = set()
        try:
            for duty in duties:
                self.hire(context, duty)
        except BaseException:
            self.dismiss()
            raise

    def hire(self, context, duty):
        ours, theirs = context.Pipe()
        # A forked process has our ends of all pipes open; unless it closes them, none ever sees that we are gone.
        inherited = [channel.connection for channel in self.channels] + [ours]
        forked = context.get_start_method() == "fork"
        process = context.Process(target=work, args=(duty, theirs, inherited if forked else []), daemon=True)
        try:
            process.start()
        except (TypeError, AttributeError, PicklingError):
            warnings.warn(
                "Got pickle error when attempting to start a worker Process. This might be because the worker Process "
                "arguments are not picklable, as all start methods but 'fork' require. You can also try "
                "multiprocessing.set_start_method('fork').",
                stacklevel=2,
            )
            raise
        finally:
            theirs.close()
        self.processes.append(process)
        self.channels.append(Channel(ours))

    def order(self, worker, order):
        """Send an order; one to a worker that has died is noticed when its answer is waited for."""
        with contextlib.suppress(OSError):
            self.channels[worker].send(order)

    def answer(self, workers, timeout=None):
        """The next answer of one of these `workers`.

        Returns:
            (worker, what it sent); None if nothing came within `timeout` seconds.
        Raises:
            RuntimeError: a process of the crew ended without having been told to.
        """
        lines = {self.channels[worker].connection: worker for worker in workers}
        alive = {p.sentinel: p for worker, p in enumerate(self.processes) if worker not in self.retired}
        ready = connection.wait([*lines, *alive], timeout)
        for line in ready:
            if line in lines:
                try:
                    return lines[line], self.channels[lines[line]].receive()
                except (EOFError, OSError):
                    self.report_dead([self.processes[lines[line]]])
        if ready:
            self.report_dead([alive[sentinel] for sentinel in ready])
        return None

    def report_dead(self, processes):
        """Raise RuntimeError for processes that have ended."""
        for process in processes:
            process.join(PATIENCE)  # its exit status comes a moment after its end shows
        pids = ", ".join(str(process.pid) for process in processes)
        raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from RuntimeError(
            "".join(cause_of_death(process) for process in processes)
        )

    def retire(self, worker):
        """Let one worker end, whose stream has."""
        self.retired.add(worker)
        self.order(worker, None)

    def dismiss(self):
        """Tell all to end, wait a little, and end those that don't. A forked copy of a crew leaves the crew alone."""
        if os.getpid() != self.owner:
            return
        for worker in range(len(self.channels)):
            self.order(worker, None)
        try:
            self.wait_for_ends()
        finally:
            for end in ("terminate", "kill"):
                for process in self.processes:
                    if process.is_alive():
                        getattr(process, end)()
                        process.join(1.0)
            for channel in self.channels:
                channel.close()

    def wait_for_ends(self):
        """Wait until all processes have ended, within reason, and throw away what they still send meanwhile."""
        deadline = time.monotonic() + PATIENCE
        alive = {process.sentinel for process in self.processes}
        lines = {channel.connection for channel in self.channels} if os.name == "posix" else set()
        while alive and (left := deadline - time.monotonic()) > 0:
            for ready in connection.wait([*alive, *lines], left):
                alive.discard(ready)
                if ready in lines and not read_some(ready):
                    lines.discard(ready)


def read_some(line):
    """Some bytes of a connection, whatever they mean; none at its end."""
    try:
        return os.read(line.fileno(), 1 << 20)
    except OSError:
        return b""


def cause_of_death(process):
    """What the exit status of a process tells."""
    code = process.exitcode
    if code is not None and code < 0:
        return f"DataLoader worker (pid {process.pid}) is killed by signal: {signal.strsignal(-code)}. "
    return (
        f"DataLoader worker (pid {process.pid}) exited unexpectedly with exit code {code}. Details are lost due to "
        "multiprocessing. Rerunning with num_workers=0 may give better error trace. "
    )
