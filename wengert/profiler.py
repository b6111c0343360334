"""``torch.profiler``: profiling some steps of a long run, on the profiler of `torch.autograd.profiler`."""

import enum
import os
import socket
import time
import warnings

from wengert.autograd.profiler import EventList, Recording, record_function

__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function", "schedule",
    "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerActivity(enum.Enum):
    """Whose work to record; here there is the CPU."""

    CPU, XPU, MTIA, CUDA, HPU, PrivateUse1 = range(6)


class ProfilerAction(enum.Enum):
    """What to do during a step."""

    NONE, WARMUP, RECORD, RECORD_AND_SAVE = range(4)


RECORDS = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def kineto_available():
    """False: that library is not here."""
    return False


def supported_activities():
    """The CPU's."""
    return {ProfilerActivity.CPU}


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """A function from a step's number to what to do: skip, then wait, warm up, record; and again.

    Args:
        wait, warmup, active: how many steps of each.
        repeat: how many times; 0 for as long as there are steps.
        skip_first: how many steps come before.
        skip_first_wait: 1 to leave out the first wait.
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), "
            f"active={active} (need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )

    def action(step):
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat and step // cycle >= repeat:
            return ProfilerAction.NONE
        step %= cycle
        if step < wait:
            return ProfilerAction.NONE
        if step < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if step < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False, use_python_export=False):
    """An `on_trace_ready` that writes each trace into a folder, for TensorBoard's plugin."""

    def write(profiler):
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"
        profiler.export_chrome_trace(os.path.join(dir_name, name))

    return write


class profile:
    """A context that takes the time of calls in the steps that a schedule says, or in all.

    Args:
        activities: whose work; those of devices that are not here are left out with a warning.
        schedule: a function from the number of a step to a `ProfilerAction`.
        on_trace_ready: called with this object when the steps to record are over.
        record_shapes, profile_memory, with_stack, with_flops, with_modules: what else PyTorch's profiler would record;
            a warning says once that it isn't.
    """

    def __init__(self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False,
                 profile_memory=False, with_stack=False, with_flops=False, with_modules=False,
                 experimental_config=None, execution_trace_observer=None, acc_events=False, use_cuda=None,
                 custom_trace_id_callback=None):  # fmt: skip
        if activities and not any(isinstance(activity, ProfilerActivity) for activity in activities):
            raise AssertionError("No valid profiler activities found")
        for activity in activities or ():
            if activity is not ProfilerActivity.CPU:
                name = getattr(activity, "name", activity)
                warnings.warn(f"{name} is not available, disabling {name} profiling", stacklevel=2)
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.stepwise = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.recording = self.step_block = None
        self.metadata = {}

    def start(self):
        """Begin with the first step."""
        self._enter_step()

    def stop(self):
        """End; hand over what is recorded."""
        self._leave_step()
        self._end_recording()

    def step(self):
        """The next step begins."""
        self._leave_step()
        before, self.step_num = self.current_action, self.step_num + 1
        self.current_action = self.schedule(self.step_num)
        if before is ProfilerAction.RECORD_AND_SAVE or self.current_action not in RECORDS:
            self._end_recording()
        self._enter_step()

    def _enter_step(self):
        if self.current_action in RECORDS and not self._is_recording():
            self.recording = Recording()
            self.recording.start()
        if self.stepwise:
            self.step_block = record_function(f"ProfilerStep#{self.step_num}")
            self.step_block.__enter__()

    def _leave_step(self):
        if self.step_block is not None:
            self.step_block.__exit__(None, None, None)
            self.step_block = None

    def _is_recording(self):
        return self.recording is not None and not self.recording.over

    def _end_recording(self):
        if self._is_recording():
            self.recording.stop()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()
        return False

    def events(self):
        """What was recorded last."""
        return EventList() if self.recording is None else self.recording.events

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False):
        """One average for each name."""
        return self.events().key_averages()

    def export_chrome_trace(self, path):
        """Write the events as a file for Chrome's and Perfetto's viewers."""
        self.events().export_chrome_trace(path)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Refused: stacks are not recorded."""
        raise NotImplementedError("profile.export_stacks: wengert's profiler records no stacks")

    def export_memory_timeline(self, path, device=None):
        """Refused: memory is not recorded."""
        raise NotImplementedError("profile.export_memory_timeline: wengert's profiler records no memory")

    def add_metadata(self, key, value):
        """Keep a text with the trace."""
        self.metadata[key] = value

    add_metadata_json = preset_metadata_json = add_metadata
