"""Where a block of a program makes its tensors, by the names that libraries import."""

import functools

from wengert.devices import device as place_named

__all__ = ["DeviceContext", "set_device"]


class DeviceContext:
    """A block in which tensors that name no device are made at `device`."""

    def __init__(self, device):
        self.device = place_named(device)

    def __enter__(self):
        self.device.__enter__()
        return self

    def __exit__(self, *error):
        return self.device.__exit__(*error)


def set_device(device):
    """A decorator for functions that make their tensors at `device`."""

    def decorate(function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            with DeviceContext(device):
                return function(*args, **kwargs)

        return run

    return decorate
