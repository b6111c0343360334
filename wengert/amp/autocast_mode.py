"""Automatic mixed precision: inside `autocast`, each operation runs in the precision that suits it.

Products and convolutions run in bfloat16 or float16, losses and decompositions in float32, and operations that join
tensors in the widest dtype among theirs (`wengert.amp.policies` lists them); the rest take what they are given. The
casts are ordinary recorded operations, so gradients arrive in the dtype of the parameters.

Entering a region switches on the one flag that generated functions look at (`rare.active`); while no thread is inside
of one, autocast costs nothing.
"""

import collections.abc
import functools
import threading
import warnings

import numpy as np

from wengert import dtypes
from wengert.amp.policies import AS_GIVEN, LOWER_PRECISION, SINGLE_PRECISION, WIDEST
from wengert.autograd.graph import AccumulateGrad, grad_mode, rare
from wengert.devices import device
from wengert.tensor import Tensor

# The kinds of device that have an autocast state, each with the dtype it starts with. Only that of "cpu" has a device.
DEVICES = {
    "cpu": dtypes.bfloat16, "cuda": dtypes.float16, "mtia": dtypes.float16, "maia": dtypes.bfloat16,
    "xpu": dtypes.float16, "ipu": dtypes.float16, "hpu": dtypes.bfloat16, "xla": dtypes.bfloat16,
    "privateuseone": dtypes.float16, "mps": dtypes.float16,
}  # fmt: skip
SUPPORTED = (dtypes.bfloat16, dtypes.float16)


class _State(threading.local):
    cache_enabled = True
    nesting = 0
    suspended = 0  # depth of operations that already run as a policy decided: what they call is left alone

    def __init__(self):
        self.enabled = set()
        self.dtypes = dict(DEVICES)
        self.cache = {}


state = _State()


# --- settings ---------------------------------------------------------------------------------------------------------


def checked(device_type):
    """`device_type`, if it has an autocast state; raises RuntimeError otherwise."""
    if device(device_type).type not in DEVICES:
        raise RuntimeError("unknown device type for autocast in get_autocast_dispatch_key_from_device_type")
    return device_type


def is_autocast_available(device_type):
    """Whether `autocast` can be entered for this type of device."""
    return device(device_type).type in DEVICES


def is_autocast_enabled(device_type="cuda"):
    """Whether this thread is inside of an enabled `autocast` region for `device_type`."""
    return checked(device_type) in state.enabled


def set_autocast_enabled(device_type, enabled=None):
    """Switch autocast on or off for `device_type` in this thread; prefer ``with torch.autocast(...)``."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    was = checked(device_type) in state.enabled
    if enabled and not was:
        state.enabled.add(device_type)
        rare.enter()
    elif was and not enabled:
        state.enabled.discard(device_type)
        rare.leave()


def get_autocast_dtype(device_type):
    """The lower precision of `autocast` for `device_type`."""
    if device(device_type).type not in DEVICES:
        raise RuntimeError("unsupported scalarType")
    return state.dtypes[device_type]


def set_autocast_dtype(device_type, dtype):
    """Set the lower precision of `autocast` for `device_type`."""
    state.dtypes[checked(device_type)] = dtype


def is_autocast_cache_enabled():
    """Whether the casts of parameters are kept until the outermost region ends."""
    return state.cache_enabled


def set_autocast_cache_enabled(enabled):
    """Keep the casts of parameters, or cast them anew at each use."""
    state.cache_enabled = bool(enabled)


def clear_autocast_cache():
    """Forget the casts of parameters."""
    state.cache.clear()


def autocast_increment_nesting():
    """Count one more region; returns how many are open."""
    state.nesting += 1
    return state.nesting


def autocast_decrement_nesting():
    """Count one region less; returns how many are open."""
    state.nesting -= 1
    return state.nesting


def _retired(name, device_type, current):
    """The function of one device type that `current` has replaced."""
    arguments = "" if name.startswith(("is", "get")) else "enabled" if name.endswith("enabled") else "dtype"
    instead = f"torch.{current.__name__}('{device_type}'{', ' if arguments else ''}{arguments})"

    def function(*args):
        warnings.warn(
            f"torch.{name}({arguments}) is deprecated. Please use {instead} instead.", DeprecationWarning, stacklevel=2
        )
        return current(device_type, *args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Use ``{instead}``."
    return function


RETIRED = {
    form.format(short): _retired(form.format(short), device_type, current)
    for short, device_type in (("cpu", "cpu"), ("gpu", "cuda"), ("ipu", "ipu"), ("xla", "xla"))
    for form, current in (
        ("is_autocast_{}_enabled", is_autocast_enabled), ("set_autocast_{}_enabled", set_autocast_enabled),
        ("get_autocast_{}_dtype", get_autocast_dtype), ("set_autocast_{}_dtype", set_autocast_dtype),
    )
    if not (short == "gpu" and form.endswith("enabled"))
}  # fmt: skip
globals().update(RETIRED)


# --- what happens to an operation -------------------------------------------------------------------------------------


def recast(name, written=False):
    """How the operation of this name is to run in this thread: a function (run, arguments), or None for as it is.

    What is `written` into memory given for it (in place, ``out=``) keeps its dtype.
    """
    if "cpu" not in state.enabled or state.suspended:
        return None
    if written:
        return run_as_given
    if name in LOWER_PRECISION:
        return run_lower
    if name in SINGLE_PRECISION:
        return run_single
    if name in WIDEST:
        return run_widest
    return run_as_given if name in AS_GIVEN else None


def run_in(dtype, run, arguments):
    """``run(*arguments)`` with every eligible tensor among them, however nested, in `dtype` (None: as it is)."""
    state.suspended += 1
    try:
        return run(*(arguments if dtype is None else [converted(value, dtype) for value in arguments]))
    finally:
        state.suspended -= 1


def run_lower(run, arguments):
    return run_in(state.dtypes["cpu"], run, arguments)


def run_single(run, arguments):
    return run_in(dtypes.float32, run, arguments)


def run_widest(run, arguments):
    lower = state.dtypes["cpu"]
    widest = lower
    for tensor in tensors_in(arguments):
        if not eligible(tensor) or tensor.dtype is lower:
            continue
        if tensor.dtype is not dtypes.float32:
            raise RuntimeError("Unexpected floating ScalarType in at::autocast::prioritize")
        widest = dtypes.float32
    return run_in(widest, run, arguments)


def run_as_given(run, arguments):
    return run_in(None, run, arguments)


def eligible(tensor):
    return tensor.dtype.is_floating_point and tensor.dtype is not dtypes.float64


def tensors_in(value):
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def converted(value, dtype):
    """`value` with the eligible tensors inside cast to `dtype`; a parameter's cast is kept for its next use."""
    if isinstance(value, Tensor):
        if not eligible(value) or value.dtype is dtype:
            return value
        if not (state.cache_enabled and worth_keeping(value, dtype)):
            return value.to(dtype)
        kept = state.cache.get(id(value))
        if kept is None:
            kept = state.cache[id(value)] = (value, value.to(dtype))
        return kept[1]
    if type(value) is list or type(value) is tuple:
        return type(value)([converted(item, dtype) for item in value])
    if isinstance(value, dict):
        return {key: converted(item, dtype) for key, item in value.items()}
    return value


def worth_keeping(tensor, dtype):
    """Whether a cast will be asked for again: a leaf that requires grad, while grad mode records the cast."""
    return (
        type(tensor._node) is AccumulateGrad
        and tensor.dtype is dtypes.float32
        and dtype is state.dtypes["cpu"]
        and tensor._base is None
        and grad_mode.enabled
    )


rare.recast = recast


# --- regions ----------------------------------------------------------------------------------------------------------


class autocast:
    """A region in which operations run in the precision that suits each: a context manager and a decorator.

    Args:
        device_type: ``"cpu"``, or the type of a device that isn't there, for which nothing changes.
        dtype: the lower precision, bfloat16 (the default on the CPU) or float16.
        enabled: False leaves a surrounding region for the block.
        cache_enabled: whether casts of parameters are kept until the outermost region ends (default: as it is).
    Raises:
        ValueError, RuntimeError: `device_type` is no string, or none that knows autocast.
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self.device = device_type
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self._cache_enabled = state.cache_enabled if cache_enabled is None else cache_enabled
        self._enabled = enabled and self._usable()

    def _usable(self):
        """Whether the device and the dtype allow it; warns where they don't."""
        if self.device == "cuda":
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=4)
            return False
        if self.fast_dtype not in SUPPORTED:
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{self.device.upper()} Autocast only supports dtypes of {', '.join(map(str, SUPPORTED))} currently.",
                stacklevel=4,
            )
            return False
        return True

    def __enter__(self):
        self.prev_cache_enabled = state.cache_enabled
        self.prev = is_autocast_enabled(self.device)
        self.prev_fastdtype = get_autocast_dtype(self.device)
        set_autocast_enabled(self.device, self._enabled)
        set_autocast_dtype(self.device, self.fast_dtype)
        autocast_increment_nesting()
        set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, *exc):
        if autocast_decrement_nesting() == 0:
            clear_autocast_cache()
        set_autocast_enabled(self.device, self.prev)
        set_autocast_dtype(self.device, self.prev_fastdtype)
        set_autocast_cache_enabled(self.prev_cache_enabled)
        return False

    def __call__(self, function):
        if not callable(function):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(function).__name__}. Did you mean to use "
                "autocast as a context manager? For example:\n    with torch.autocast(device_type=...):\n"
                "        output = model(input)"
            )
        return autocast_decorator(self, function)


def autocast_decorator(autocast_instance, func):
    """`func`, run inside the region `autocast_instance`."""

    @functools.wraps(func)
    def inside(*args, **kwargs):
        with autocast_instance:
            return func(*args, **kwargs)

    return inside


def _enter_autocast(*arguments):
    region = autocast(*arguments)
    region.__enter__()
    return region


def _exit_autocast(region):
    region.__exit__(None, None, None)


# --- Functions of the user's own --------------------------------------------------------------------------------------


def _cast(value, device_type, dtype):
    """`value` with the floating tensors in it (but float64) in `dtype`, through mappings and iterables."""
    if isinstance(value, Tensor):
        return value.to(dtype) if eligible(value) and value.device.type == device_type else value
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, collections.abc.Mapping):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, collections.abc.Iterable):
        items = (_cast(item, device_type, dtype) for item in value)
        return type(value)(items) if isinstance(value, (list, tuple)) else items
    return value


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorate the `forward` of an `autograd.Function` that is to work under autocast.

    Args:
        device_type: whose autocast it heeds.
        cast_inputs: inside a region, cast floating inputs to this dtype and run `forward` with autocast off; None runs
            `forward` with autocast as it is.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args, **kwargs):
        ctx, inside = args[0], is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = inside and cast_inputs is None
        if cast_inputs is None or not inside:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd=None, *, device_type):
    """Decorate the `backward` that belongs to a `custom_fwd`: it runs under the same autocast as `forward` did."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args, **kwargs):
        ctx = args[0]
        with autocast(device_type=device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(*args, **kwargs)

    return decorated
