"""What programs ask of PyTorch's binary module by its name, where wengert has it elsewhere.

PyTorch sends an operation through a stack of dispatch keys; wengert has none, so a set of keys can be built and
excluded (libraries do it when they are imported) and nothing changes. There is no tracer, no fuser and no batched
tensor either, and whoever asks is told so.
"""

import contextlib
import enum

from wengert.absent import answers
from wengert.autograd.modes import is_grad_enabled, is_inference_mode_enabled
from wengert.devices import device
from wengert.dtypes import dtype, layout, memory_format
from wengert.overrides import (
    DisableTorchFunction,
    DisableTorchFunctionSubclass,
    _disabled_torch_function_impl,
)
from wengert.random import Generator, default_generator
from wengert.size import Size
from wengert.tensor import Tensor as TensorBase

_TensorMeta = type(TensorBase)

__all__ = [
    "DispatchKey", "DispatchKeySet", "DisableTorchFunction", "DisableTorchFunctionSubclass", "Generator", "Size",
    "TensorBase",
    "_disabled_torch_function_impl", "default_generator", "device", "dtype", "is_grad_enabled",
    "is_inference_mode_enabled", "layout", "memory_format",
]  # fmt: skip


class _nn:
    """What networks ask of it."""

    @staticmethod
    def _parse_to(*args, **kwargs):
        """(device, dtype, non_blocking, memory_format) that the arguments of a `to` mean."""
        from wengert.nn.modules.module import _parse_to

        return _parse_to(*args, **kwargs)


def _log_api_usage_once(event):
    """Hear of a use that PyTorch would count: nothing is counted here."""


DispatchKey = enum.Enum(
    "DispatchKey",
    """Undefined CPU CUDA XPU MPS Meta SparseCPU BackendSelect Python Functionalize ADInplaceOrView AutogradOther
    AutogradCPU AutogradCUDA AutogradXPU Autograd AutocastCPU AutocastCUDA AutocastXPU Tracer FuncTorchBatched Batched
    CompositeImplicitAutograd CompositeExplicitAutograd""",
    start=0,
)


class DispatchKeySet(frozenset):
    """A set of dispatch keys: `DispatchKeySet(key)`, `a | b`, `a & b`, `a - b`, `has(key)`."""

    def __new__(cls, keys=()):
        return super().__new__(cls, (keys,) if isinstance(keys, DispatchKey) else keys)

    def __or__(self, other):
        return DispatchKeySet(frozenset(self) | other)

    def has(self, key):
        return key in self


class _ExcludeDispatchKeyGuard(contextlib.nullcontext):
    """Leave these keys out of dispatch, of which there is none."""


answers(
    globals(),
    {
        "_get_tracing_state": None, "_is_tracing": False, "_are_functorch_transforms_active": False,
        "_jit_set_profiling_mode": False, "_jit_set_profiling_executor": False, "_jit_set_texpr_fuser_enabled": None,
        "_jit_override_can_fuse_on_cpu": None, "_jit_override_can_fuse_on_gpu": None,
        "_jit_can_fuse_on_cpu": False, "_jit_can_fuse_on_gpu": False, "_jit_set_nvfuser_enabled": False,
        "_jit_set_autocast_mode": False, "_get_privateuse1_backend_name": "privateuseone",
    },
)  # fmt: skip


def _get_accelerator(check=None):
    """The device that an accelerator would be; the CPU, as there is none."""
    return device("cpu")


def _get_default_device():
    """The name of the device that new tensors are on."""
    from wengert.settings import get_default_device

    return str(get_default_device())


def _is_alias_of(a, b):
    """Whether two tensors share memory."""
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
