"""wengert: PyTorch's tensors and dynamic graph, in Python that a person can read.

    import wengert as torch

Operations are generated from their declarations when first used; heavy submodules load when first touched.
"""

import gc as _gc
import importlib
import sys as _sys

from wengert import copying as _copying
from wengert import dtypes as _dtypes
from wengert import storage as _storage
from wengert.autograd import engine as _engine
from wengert.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from wengert.devices import device
from wengert.dlpack import from_dlpack
from wengert.dtypes import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    jagged,
    layout,
    memory_format,
    preserve_format,
    promote_types,
    set_default_dtype,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from wengert.ops import creation as _creation
from wengert.ops import indexing as _indexing
from wengert.ops import lazy as _lazy
from wengert.ops import linalg as _linalg
from wengert.ops import pointwise as _pointwise
from wengert.ops import random as _random
from wengert.ops import reductions as _reductions
from wengert.ops import shape as _shape
from wengert.ops import sorting as _sorting
from wengert.ops.asarray import asarray
from wengert.ops.declare import FUNCTIONS, return_types
from wengert.outside import missing as _missing
from wengert.printing import set_printoptions
from wengert.settings import *
from wengert.size import Size
from wengert.tensor import Tensor
from wengert.torch_version import __version__

globals().update(_dtypes.BY_NAME)
DeviceObjType = device  # the name of its class in annotations
torch = _sys.modules[__name__]  # PyTorch holds itself too, and some annotations say torch.torch.Tensor
legacy_contiguous_format = contiguous_format

# Each recorded operation makes a few objects that the cycle collector watches, where PyTorch makes one. At Python's
# own threshold of 700 it would come round every 200 operations, and go through a long graph again and again, to find
# nothing: graphs have no cycles. A program that has set thresholds of its own keeps them.
if _gc.get_threshold() in ((700, 10, 10), (2000, 10, 10), (2000, 10, 0)):
    _gc.set_threshold(10_000, 20, 20)
globals().update(_creation.FACTORIES)
globals().update(_shape.FUNCTIONS_HERE)

# Submodules that load on first touch: torch.nn is wengert.nn.
_SUBMODULES = (
    "autograd", "nn", "optim", "utils", "linalg", "fft", "special", "func", "random", "distributions", "testing",
    "backends",
    "amp", "cuda", "overrides", "serialization", "return_types", "interop", "printing", "lens", "types", "version",
    "futures",
    "multiprocessing", "distributed", "jit", "onnx", "masked", "signal", "sparse", "library", "compiler", "profiler",
    "hub", "fx", "__config__",
    "accelerator", "mtia", "storage", "functional", "fast", "_C", "cpu", "mps", "xpu", "package", "quantization", "ao",
    "_dynamo", "_utils", "__future__", "monitor", "export", "nested", "classes", "_tensor_str", "quasirandom",
    "_custom_ops", "_functorch", "_guards", "_higher_order_ops", "_inductor", "_ops", "_subclasses",
)  # fmt: skip


_ATTRIBUTES = {  # public names that live in modules which load on first touch
    "to_dlpack": "wengert.dlpack",
    "manual_seed": "wengert.random", "seed": "wengert.random", "initial_seed": "wengert.random",
    "get_rng_state": "wengert.random", "set_rng_state": "wengert.random", "Generator": "wengert.random",
    "default_generator": "wengert.random", "save": "wengert.serialization", "load": "wengert.serialization",
    "is_anomaly_enabled": "wengert.autograd.anomaly", "is_anomaly_check_nan_enabled": "wengert.autograd.anomaly",
    "install_as_torch": "wengert.alias", "vmap": "wengert.func", "compile": "wengert.compiler",
    "set_default_tensor_type": "wengert.settings", "get_device_module": "wengert.devices",
    "UntypedStorage": "wengert.storage", "TypedStorage": "wengert.storage",
    "PyTorchFileReader": "wengert.serialization.archive", "ScriptModule": "wengert.jit",
    "BoolStorage": "wengert.storage", "ByteStorage": "wengert.storage", "CharStorage": "wengert.storage",
    "ShortStorage": "wengert.storage", "IntStorage": "wengert.storage", "LongStorage": "wengert.storage",
    "HalfStorage": "wengert.storage", "BFloat16Storage": "wengert.storage", "FloatStorage": "wengert.storage",
    "DoubleStorage": "wengert.storage", "ComplexFloatStorage": "wengert.storage",
    "ComplexDoubleStorage": "wengert.storage", "Stream": "wengert.absent", "Event": "wengert.absent",
    "GradScaler": "wengert.amp", "ScriptFunction": "wengert.jit", "Future": "wengert.futures",
    "OutOfMemoryError": "wengert.errors", "AcceleratorError": "wengert.errors",
    "SymInt": "wengert.types", "SymFloat": "wengert.types", "SymBool": "wengert.types",
    "_amp_foreach_non_finite_check_and_unscale_": "wengert.amp.grad_scaler",
    "_amp_update_scale_": "wengert.amp.grad_scaler",
}  # fmt: skip


_AUTOCAST = """
    autocast is_autocast_enabled set_autocast_enabled get_autocast_dtype set_autocast_dtype is_autocast_cache_enabled
    set_autocast_cache_enabled clear_autocast_cache autocast_increment_nesting autocast_decrement_nesting
    is_autocast_cpu_enabled set_autocast_cpu_enabled get_autocast_cpu_dtype set_autocast_cpu_dtype
    get_autocast_gpu_dtype set_autocast_gpu_dtype is_autocast_ipu_enabled set_autocast_ipu_enabled
    get_autocast_ipu_dtype set_autocast_ipu_dtype is_autocast_xla_enabled set_autocast_xla_enabled
    get_autocast_xla_dtype set_autocast_xla_dtype
    """
_ATTRIBUTES |= dict.fromkeys(_AUTOCAST.split(), "wengert.amp.autocast_mode")
_CHECKS = """
    _assert _assert_async _check _check_index _check_is_size _check_not_implemented _check_tensor_all
    _check_tensor_all_with _check_type _check_value _check_with
    """
_ATTRIBUTES |= dict.fromkeys(_CHECKS.split(), "wengert.checks")
_RECURRENT = "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"
_ATTRIBUTES |= dict.fromkeys(_RECURRENT.split(), "wengert.nn.modules.rnn")
_ATTRIBUTES |= {
    "from_file": "wengert.storage", "GradScaler": "wengert.amp", "set_anomaly_enabled": "wengert.autograd.anomaly",
    **dict.fromkeys(("SymInt", "SymFloat", "SymBool"), "wengert.symbolic"),
    "DisableTorchFunction": "wengert._C", "DisableTorchFunctionSubclass": "wengert._C",
}  # fmt: skip


def __getattr__(name):
    operation = FUNCTIONS[""].get(name)
    if operation is not None:
        globals()[name] = function = operation.function
        return function
    family = _lazy.HOME.get(name)
    if family is not None:
        module = _lazy.load(family)
        globals()[name] = function = FUNCTIONS[""][name].function if name in FUNCTIONS[""] else getattr(module, name)
        return function
    home = _ATTRIBUTES.get(name)
    if home is not None:
        try:
            globals()[name] = value = getattr(importlib.import_module(home), name)
            return value
        except ModuleNotFoundError as error:
            if error.name != home:
                raise
    if name in _SUBMODULES:
        try:
            return importlib.import_module(f"wengert.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"wengert.{name}":
                raise
    if name.startswith("_foreach_"):
        from wengert import foreach

        globals()[name] = function = foreach.named(name.removeprefix("_foreach_"))
        return function
    if _load_networks():
        return __getattr__(name)
    raise _missing(__name__, name)


def _load_networks():
    """Declare what networks are made of, `conv2d` and its kind; False if that was done. Programs without them don't
    wait.
    """
    if "convolution" in _loaded:
        return False
    _loaded.update(_NETWORKS)
    for family in _NETWORKS:
        importlib.import_module(f"wengert.ops.{family}")
    return True


_loaded = set()
_NETWORKS = (
    "activation", "attention", "convolution", "distance", "dropout", "embedding", "linear", "losses", "normalization",
    "padding", "pooling", "resampling",
)  # fmt: skip


def __dir__():
    return sorted({*globals(), *FUNCTIONS[""], *_lazy.HOME, *_SUBMODULES})
