"""``torch._utils``: what pickles and libraries look for under this name, where wengert has it elsewhere."""

import os

from wengert.devices import get_device_module
from wengert.serialization.unpickling import rebuild_parameter as _rebuild_parameter
from wengert.serialization.unpickling import rebuild_parameter_with_state as _rebuild_parameter_with_state
from wengert.serialization.unpickling import rebuild_tensor as _rebuild_tensor
from wengert.serialization.unpickling import rebuild_tensor_v2 as _rebuild_tensor_v2
from wengert.serialization.unpickling import rebuild_tensor_v3 as _rebuild_tensor_v3
from wengert.utils.data._utils.worker import ExceptionWrapper, KeyErrorMessage

__all__ = [
    "ExceptionWrapper", "KeyErrorMessage", "_flatten_dense_tensors", "_rebuild_parameter",
    "_rebuild_parameter_with_state", "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3",
    "_unflatten_dense_tensors", "cpu_count",
]  # fmt: skip


def _get_available_device_type():
    """The kind of accelerator that is here: None."""
    return


def _get_device_module(device_type):
    """The module of the functions of a kind of device; RuntimeError if there is none."""
    return get_device_module(device_type)


def _element_size(dtype):
    """The bytes that an element takes."""
    return dtype.itemsize


def cpu_count():
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _flatten_dense_tensors(tensors):
    """All elements of all tensors in one line."""
    import wengert

    return wengert.cat([tensor.contiguous().view(-1) for tensor in tensors])


def _unflatten_dense_tensors(flat, tensors):
    """`flat` cut into tensors of the shapes of `tensors`."""
    import wengert

    return tuple(
        part.view_as(tensor) for part, tensor in zip(wengert.split(flat, [t.numel() for t in tensors]), tensors)
    )

