"""Process-wide settings and small questions: default dtype and device, threads, determinism, tests of type."""

import sys
import warnings

import numpy as np

from wengert import dtypes
from wengert.devices import check as check_device
from wengert.devices import cpu, device
from wengert.devices import device as place_named
from wengert.tensor import Tensor

__all__ = [
    "is_tensor", "is_storage", "is_floating_point", "is_complex", "is_nonzero", "is_same_size", "is_signed", "numel",
    "typename",
    "result_type", "can_cast", "set_default_device", "get_default_device", "set_num_threads", "get_num_threads",
    "set_num_interop_threads", "get_num_interop_threads", "use_deterministic_algorithms",
    "set_deterministic_debug_mode",
    "get_deterministic_debug_mode", "are_deterministic_algorithms_enabled",
    "is_deterministic_algorithms_warn_only_enabled",
    "set_float32_matmul_precision", "get_float32_matmul_precision", "set_flush_denormal", "set_warn_always",
    "is_warn_always_enabled", "set_default_tensor_type", "compiled_with_cxx11_abi", "is_inference", "is_conj", "is_neg",
    "is_distributed", "inf", "nan", "pi", "e", "newaxis",
    "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor", "IntTensor", "ShortTensor",
    "CharTensor",
    "ByteTensor", "BoolTensor",
]  # fmt: skip

inf, nan, pi, e = float("inf"), float("nan"), np.pi, np.e
newaxis = None


def is_tensor(obj):
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


def is_storage(obj):
    """Whether `obj` is a storage."""
    from wengert.storage import UntypedStorage

    return isinstance(obj, UntypedStorage)


def is_floating_point(input):
    """Whether the dtype is a floating-point one."""
    return input.dtype.is_floating_point


def is_complex(input):
    """Whether the dtype is complex."""
    return input.dtype.is_complex


def is_signed(input):
    """Whether the dtype can hold negative numbers."""
    return input.dtype.is_signed


def is_inference(input):
    """Whether `input` was made in inference mode."""
    return input.is_inference()


def is_conj(input):
    """Whether conjugation is still pending: never, here it is done at once."""
    return False


def is_neg(input):
    """Whether negation is still pending: never, here it is done at once."""
    return False


def is_distributed(input):
    """Whether the tensor is spread over processes: never."""
    return False


def is_nonzero(input):
    """Whether the only element is not zero; raises RuntimeError unless there is exactly one."""
    return bool(input)


def is_same_size(input, other):
    """Whether two tensors have the same shape."""
    return input._array.shape == other._array.shape


def numel(input):
    """The number of elements."""
    return input._array.size


def typename(obj):
    """The name of an object's type; for tensors such as ``torch.FloatTensor``."""
    if isinstance(obj, Tensor):
        return obj.type()
    cls = obj if hasattr(obj, "__qualname__") else type(obj)  # of a class or function, its own name
    place = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return (f"torch.{place.removeprefix('wengert.')}" if place.startswith("wengert.") else place) + cls.__qualname__


def result_type(tensor1, tensor2):
    """The dtype of an operation on these two tensors or numbers."""
    operands = []
    for value in (tensor1, tensor2):
        if isinstance(value, Tensor):
            operands.append((value.dtype, 2 if value._array.ndim else 1))
        else:
            operands.append((dtypes.of_scalar(value), 0))
    return dtypes.result_type_of(operands)


def can_cast(from_, to):
    """Whether a value of dtype `from_` may be stored in a tensor of dtype `to`."""
    return dtypes.can_cast(from_, to)


class _Settings:
    device = device("cpu")
    threads = None
    interop_threads = 1
    deterministic = 0
    precision = "highest"
    warn_always = False


_settings = _Settings()


def set_default_device(device):
    """The place of new tensors that name no other: the CPU (also for None), or "meta"; any other is an error."""
    place = cpu if device is None else place_named(device)
    if place.type != "meta":
        check_device(place)
    if _settings.device.type == "meta":
        _settings.device.__exit__()
    _settings.device = place
    if _settings.device.type == "meta":
        _settings.device.__enter__()


def get_default_device():
    """The place of new tensors: that of the innermost ``with torch.device(...)``, else what was set."""
    modes = overrides.state.modes if (overrides := sys.modules.get("wengert.overrides")) else ()
    places = [mode.device for mode in modes if hasattr(mode, "device")]
    return places[-1] if places else _settings.device


def _share(count):
    """Have `count` threads in kernels and in BLAS from now on; whether BLAS could be told."""
    _settings.threads = count
    kernels = sys.modules.get("wengert.kernels.cpu.threads")
    if kernels is not None:
        kernels.choose(count)
        if kernels.alone():
            return True  # BLAS has one thread then, and products are shared out by the kernels
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return False
    threadpool_limits(count)
    return True


def set_num_threads(num):
    """How many threads kernels and BLAS may use; reaches BLAS through the package threadpoolctl, with one warning where
    it is missing.
    """
    if not isinstance(num, int) or isinstance(num, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    if not _share(num) and num != get_num_threads.available():
        warnings.warn(
            "set_num_threads: NumPy's BLAS keeps its own number of threads; install threadpoolctl, or set "
            "OMP_NUM_THREADS before the program starts",
            UserWarning,
            stacklevel=2,
        )


def use_one_thread():
    """Use one thread from now on, as a process that is one of many should; says nothing where BLAS can't be told."""
    _share(1)


def get_num_threads():
    """How many threads kernels and BLAS may use."""
    return _settings.threads or get_num_threads.available()


def _available():
    from wengert.kernels.cpu.threads import available

    return available()


get_num_threads.available = _available


def set_num_interop_threads(num):
    """How many operations may run at once: accepted for programs that set it; operations run one at a time."""
    if num <= 0:
        raise RuntimeError("Expected positive number of threads")
    _settings.interop_threads = num


def get_num_interop_threads():
    """What `set_num_interop_threads` was told."""
    return _settings.interop_threads


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Ask for the same results in every run, which is how all operations here work anyway."""
    _settings.deterministic = (1 if warn_only else 2) if mode else 0


def set_deterministic_debug_mode(debug_mode):
    """The same as a level: "default" (0), "warn" (1) or "error" (2)."""
    levels = {"default": 0, "warn": 1, "error": 2, 0: 0, 1: 1, 2: 2}
    if debug_mode not in levels:
        raise RuntimeError(f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, got {debug_mode}")
    _settings.deterministic = levels[debug_mode]


def get_deterministic_debug_mode():
    """The level that was set."""
    return _settings.deterministic


def are_deterministic_algorithms_enabled():
    """Whether determinism was asked for."""
    return _settings.deterministic > 0


def is_deterministic_algorithms_warn_only_enabled():
    """Whether determinism was asked for with warnings only."""
    return _settings.deterministic == 1


def set_float32_matmul_precision(precision):
    """How exact float32 products must be; they are computed in full float32 whatever is allowed."""
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"{precision} is not one of 'highest', 'high', 'medium'")
    _settings.precision = precision


def get_float32_matmul_precision():
    """What `set_float32_matmul_precision` was told."""
    return _settings.precision


def set_flush_denormal(mode):
    """Ask for subnormal numbers to become 0; returns False, as the processor's mode can't be set from here."""
    return False


def set_warn_always(b):
    """Whether warnings that appear once should appear always."""
    _settings.warn_always = bool(b)


def is_warn_always_enabled():
    """What `set_warn_always` was told."""
    return _settings.warn_always


def compiled_with_cxx11_abi():
    """True; there is no compiled code whose ABI could differ."""
    return True


class _TypedTensorMeta(type):
    def __new__(cls, name, bases, body):
        if "dtype" not in body and any(getattr(base, "dtype", None) for base in bases):
            raise TypeError(f"type 'torch.{bases[0].__name__}' is not an acceptable base type")
        return super().__new__(cls, name, bases, body)

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype


class _TypedTensor(metaclass=_TypedTensorMeta):
    """``torch.FloatTensor(...)``: `Tensor(...)` of a fixed dtype, and a test for it."""

    def __new__(cls, *args, device=None):
        return Tensor.new(wrap_of(cls.dtype), *args)


def wrap_of(dtype):
    from wengert.tensor import wrap

    return wrap(np.empty(0, dtype.numpy), dtype)


def _typed(name, dtype):
    return _TypedTensorMeta(name, (_TypedTensor,), {"dtype": dtype, "__module__": "wengert"})


FloatTensor, DoubleTensor = _typed("FloatTensor", dtypes.float32), _typed("DoubleTensor", dtypes.float64)
HalfTensor, BFloat16Tensor = _typed("HalfTensor", dtypes.float16), _typed("BFloat16Tensor", dtypes.bfloat16)
LongTensor, IntTensor = _typed("LongTensor", dtypes.int64), _typed("IntTensor", dtypes.int32)
ShortTensor, CharTensor = _typed("ShortTensor", dtypes.int16), _typed("CharTensor", dtypes.int8)
ByteTensor, BoolTensor = _typed("ByteTensor", dtypes.uint8), _typed("BoolTensor", dtypes.bool_)


def set_default_tensor_type(t):
    """The older way to `set_default_dtype`: with a tensor type such as ``torch.DoubleTensor`` or its name."""
    dtypes.set_default_dtype(getattr(t, "dtype", None) or dtypes.BY_NAME[_BY_TYPE_NAME[t]])


_BY_TYPE_NAME = {"torch.FloatTensor": "float32", "torch.DoubleTensor": "float64", "torch.HalfTensor": "float16",
                 "torch.BFloat16Tensor": "bfloat16"}  # fmt: skip
