"""Memory that a device reads directly: libraries look here for the function that pins a batch and what is in it."""

from collections.abc import Mapping, Sequence


def pin_memory(data, device=None):
    """`data`, with everything in it that has a method `pin_memory` replaced by what that returns."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        return type(data)({key: pin_memory(value, device) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(pin_memory(value, device) for value in data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return type(data)(pin_memory(value, device) for value in data)
    return data
