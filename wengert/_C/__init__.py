"""What programs ask of PyTorch's binary module by its name, where wengert has it elsewhere.

PyTorch sends an operation through a stack of dispatch keys; wengert has none, so a set of keys can be built and
excluded (libraries do it when they are imported) and nothing changes. There is no tracer, no fuser and no batched
tensor either, and whoever asks is told so.
"""

import contextlib
import enum
import importlib

from wengert.absent import answers
from wengert.autograd import engine, function, graph
from wengert.autograd.graph import grad_mode
from wengert.autograd.modes import is_grad_enabled, is_inference_mode_enabled
from wengert.autograd.modes import is_multithreading_enabled as _is_multithreading_enabled
from wengert.devices import device
from wengert.dtypes import dtype, layout, memory_format
from wengert.kernels.decompositions import LinAlgError as _LinAlgError
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


_will_engine_execute_node = engine.will_execute
_current_graph_task_id = engine.current_pass


def _set_fwd_grad_enabled(mode):
    """Whether operations push tangents along, from now on."""
    from wengert.autograd import forward_ad

    forward_ad._set_fwd_grad_enabled(mode)


class _autograd:
    """What is asked of its part for the graph."""

    @staticmethod
    def _saved_tensors_hooks_is_enabled():
        from wengert.autograd import saved

        return saved.state.disabled is None

    @staticmethod
    def _profiler_enabled():
        from wengert.autograd import profiler

        return profiler._profiler_enabled()


class _functions:
    """Nodes and functions of the graph that PyTorch has compiled."""

    AccumulateGrad = graph.AccumulateGrad
    DelayedError = function.DelayedError
    UndefinedGrad = function.UndefinedGrad
    Error = function.Error


class Bindings:
    """Operations as PyTorch's bindings name them: `torch._C._fft.fft_rfft` is `torch.fft.rfft`.

    Args:
        home: the module that has them.
        prefix: what their names have in front.
    """

    def __init__(self, home, prefix=""):
        self._home, self._prefix = home, prefix

    def __getattr__(self, name):
        return getattr(importlib.import_module(self._home), name.removeprefix(self._prefix))


class NetworkBindings(Bindings):
    """Those of networks."""

    @staticmethod
    def _parse_to(*args, **kwargs):
        """(device, dtype, non_blocking, memory_format) that the arguments of a `to` mean."""
        from wengert.nn.modules.module import _parse_to

        return _parse_to(*args, **kwargs)


_VariableFunctions = _VariableFunctionsClass = Bindings("wengert")
_nn = NetworkBindings("wengert.nn.functional")
_fft = Bindings("wengert.fft", "fft_")
_linalg = Bindings("wengert.linalg", "linalg_")
_special = Bindings("wengert.special", "special_")


def _log_api_usage_once(event):
    """Hear of a use that PyTorch would count: nothing is counted here."""


# Settings of the executor of TorchScript, which fast programs turn at their start: there is none to be set. What comes
# back is what PyTorch's have been set to before.
answers(globals(), {
    "_jit_set_profiling_mode": True, "_jit_set_profiling_executor": True, "_jit_set_autocast_mode": True,
    "_jit_set_num_profiled_runs": 1, "_jit_set_bailout_depth": 20, "_jit_set_texpr_reductions_enabled": False,
    "_jit_set_llga_enabled": False, "_jit_llga_enabled": False, "_get_graph_executor_optimize": True,
    "_is_tracing": False, **dict.fromkeys((
        "_jit_override_can_fuse_on_cpu", "_jit_override_can_fuse_on_gpu", "_jit_set_texpr_fuser_enabled",
        "_jit_set_nvfuser_enabled", "_jit_set_inline_everything_mode", "_debug_set_autodiff_subgraph_inlining",
        "_jit_set_te_must_use_llvm_cpu", "_jit_set_texpr_dynamic_shape_enabled", "_set_graph_executor_optimize",
        "_get_tracing_state",
    )),
})  # fmt: skip


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


answers(globals(), {
    "_are_functorch_transforms_active": False, "_jit_can_fuse_on_cpu": False, "_jit_can_fuse_on_gpu": False,
    "_get_privateuse1_backend_name": "privateuseone",
})  # fmt: skip


def _is_torch_function_mode_enabled():
    """Whether a TorchFunctionMode is on."""
    from wengert import overrides

    return bool(overrides.state.modes)


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
