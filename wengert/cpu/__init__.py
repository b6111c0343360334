"""``torch.cpu``: the CPU asked as a device among others."""

import contextlib

from wengert.devices import device as _device


def is_available():
    """True."""
    return True


def device_count():
    """1: all cores together are one device."""
    return 1


def current_device():
    """``"cpu"``."""
    return "cpu"


def set_device(device):
    """Choose the CPU, which is chosen already."""
    _device(device)


def synchronize(device=None):
    """Wait for work in flight: there is none, operations are done when they return."""


def is_initialized():
    """True."""
    return True


class Stream:
    """A queue of work; the CPU has one, and it is always empty."""

    def __init__(self, priority=-1):
        self.priority = priority

    def wait_stream(self, stream):
        """Nothing to wait for."""

    def record_event(self):
        """Nothing to record."""

    def wait_event(self, event):
        """Nothing to wait for."""


_stream = Stream()


def current_stream(device=None):
    """The one stream."""
    return _stream


def stream(stream):
    """A context in which `stream` is the current one, as it is outside."""
    return contextlib.nullcontext()


def __getattr__(name):
    if name != "amp":
        raise AttributeError(f"module 'wengert.cpu' has no attribute '{name}'")
    import importlib

    return importlib.import_module("wengert.cpu.amp")
