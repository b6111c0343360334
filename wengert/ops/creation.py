"""New tensors: from data, from numbers, like other tensors; and conversions of dtype."""

import functools
import importlib
import math
import operator
import sys
import warnings
from itertools import chain

import numpy as np

from wengert import dtypes, interop, overrides
from wengert.autograd import views
from wengert.autograd.graph import AccumulateGrad, Version, grad_mode, rare
from wengert.devices import MetaAsked, cpu
from wengert.devices import check as check_device
from wengert.devices import device as device_class
from wengert.dtypes import FROM_NUMPY, channels_last, channels_last_3d, contiguous_format, preserve_format, strided
from wengert.dtypes import dtype as dtype_class
from wengert.interop import check_array, entered, from_numpy, frombuffer
from wengert.kernels import ranges
from wengert.kernels import shape as shape_kernels
from wengert.kernels.copies import LARGE, fill_with
from wengert.kernels.fitting import FLOAT32_MAX, fitting
from wengert.ops.declare import Pointwise, overriding, primitive
from wengert.ops.pointwise import zeros_of
from wengert.ops.shape import broadcast_shapes, clone, dims_given
from wengert.size import Size
from wengert.tensor import Parameter, Tensor, wrap

FACTORIES = {"from_numpy": from_numpy, "frombuffer": frombuffer}  # public name -> function, filled by @factory


def factory(function):
    """Make `function` public: under its own name, and asking the modes and classes that override functions."""

    @functools.wraps(function)
    def public(*args, **kwargs):
        if rare.active or (args and type(args[0]) not in PLAIN_FIRST):
            asked = overriding((*args, *kwargs.values()), None)
            if asked:
                return overrides.handle(public, asked, args, kwargs)
        try:
            return function(*args, **kwargs)
        except MetaAsked:
            return importlib.import_module("wengert.meta").make(public, args, kwargs)
        except AttributeError:
            given = kwargs.get("dtype")
            if given is None or type(given) is dtype_class:
                raise
            if type(given) is type and given in dtypes.BY_PYTHON:
                return function(*args, **{**kwargs, "dtype": dtypes.BY_PYTHON[given]})
            kind = type(given).__name__
            raise TypeError(f"{function.__name__}(): argument 'dtype' must be torch.dtype, not {kind}") from None

    FACTORIES[function.__name__] = public
    public.__module__ = function.__module__ = "wengert"
    return public


PLAIN_FIRST = frozenset({int, float, tuple, list, Size, Tensor, Parameter, np.ndarray})


def finish(array, dtype=None, requires_grad=False, device=None, layout=None, pin_memory=False, out=None, name="full"):
    """The common end of all that make tensors."""
    check_device(device)
    if layout is dtypes.sparse_coo and name in ("zeros", "empty") and out is None:
        from wengert.ops.sparse import without_elements  # rarely needed, so not loaded before

        return without_elements(array.shape, dtype or dtypes.default.dtype, requires_grad)
    if layout is not None and layout is not strided:
        raise NotImplementedError(f"{name}: wengert has no {layout} layout; only torch.strided")
    if pin_memory:
        raise RuntimeError("Cannot access accelerator device when none is available: pin_memory needs one")
    if out is not None:
        from wengert.ops import destinations

        if not isinstance(out, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
        if dtype is not None and dtype is not out.dtype:
            names = dtypes.SCALAR_NAMES
            raise RuntimeError(f"dtype {names[dtype]} does not match dtype of out parameter ({names[out.dtype]})")
        destinations.check_memory(name, out, ())
        destinations.store(out, wrap(array), name)
        return out
    result = wrap(array, dtype)
    if rare.active and grad_mode.inference:
        from wengert.ops.declare import mark_inference

        mark_inference(result)
    return result.requires_grad_() if requires_grad else result


def shape_given(size, named, asking):
    if not size and named is not None:
        size = (named,)
    shape = dims_given(size, asking)
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def allocated(make, shape, dtype):
    """The array that `make` (NumPy's `empty`, `zeros` or `ones`) gives.

    Raises RuntimeError, as PyTorch's allocator does, where there can't be so much memory, or isn't.
    """
    dtype = (dtype or dtypes.default.dtype).numpy
    try:
        return make(shape, dtype)
    except ValueError:
        check_extent(shape, dtype.itemsize)
        raise
    except MemoryError:
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: "
            f"you tried to allocate {math.prod(shape) * dtype.itemsize} bytes. Error code 12 (Cannot allocate memory)"
        ) from None


def check_extent(shape, itemsize):
    """Raise RuntimeError where an array of this shape could not be addressed."""
    if math.prod(max(n, 1) for n in shape[1:]) > sys.maxsize:
        raise RuntimeError("Stride calculation overflowed")
    if math.prod(shape) * itemsize > sys.maxsize:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")


@factory
def zeros(
    *size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, names=None, **named
):
    """A tensor of zeros of shape `size`."""
    shape = shape_given(size, named.pop("size", None), "zeros")
    refuse(named, "zeros")
    return finish(
        allocated(np.zeros, shape, dtype),
        dtype,
        requires_grad,
        device,
        layout,
        pin_memory,
        out,
        "zeros",
    )


@factory
def ones(
    *size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, names=None, **named
):
    """A tensor of ones of shape `size`."""
    shape = shape_given(size, named.pop("size", None), "ones")
    refuse(named, "ones")
    return finish(
        allocated(np.ones, shape, dtype),
        dtype,
        requires_grad,
        device,
        layout,
        pin_memory,
        out,
        "ones",
    )


@factory
def empty(
    *size,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=None,
    names=None,
    **named,
):
    """A tensor of shape `size` whose elements are whatever the memory holds."""
    shape = shape_given(size, named.pop("size", None), "empty")
    refuse(named, "empty")
    array = allocated(np.empty, shape, dtype)
    if memory_format is not None and memory_format.name.startswith("channels_last"):
        array = in_format(array, memory_format)
    return finish(array, dtype, requires_grad, device, layout, pin_memory, out, "empty")


def refuse(named, name):
    for key in named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")


def check_rank(memory_format, ndim):
    wanted = 4 if memory_format.name == "channels_last" else 5
    if ndim != wanted:
        raise RuntimeError(f"required rank {wanted} tensor to use {memory_format.name} format")


def in_format(array, memory_format):
    ndim = array.ndim
    check_rank(memory_format, ndim)
    last = tuple(range(2, ndim))
    return np.ascontiguousarray(array.transpose(0, *last, 1)).transpose(0, ndim - 1, *range(1, ndim - 1))


@factory
def full(
    size,
    fill_value,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    names=None,
):
    """A tensor of shape `size` filled with `fill_value`, whose kind decides the dtype unless given."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    value = fill_value.item() if isinstance(fill_value, Tensor) and not fill_value._array.ndim else fill_value
    if not isinstance(value, (int, float, complex, np.number, np.bool_)):
        raise TypeError(f"full(): argument 'fill_value' (position 2) must be Number, not {type(value).__name__}")
    if dtype is None:
        dtype = (
            fill_value.dtype
            if isinstance(fill_value, Tensor)
            else dtypes.of_scalar(value)
            if out is None
            else out.dtype
        )
    shape = shape_given((size,), None, "full")
    return finish(
        np.full(shape, scalar_of(value, dtype)), dtype, requires_grad, device, layout, pin_memory, out, "full"
    )


def scalar_of(value, dtype):
    """A number as an element of `dtype`; raises RuntimeError if it doesn't fit."""
    return np.asarray(fitting(value, dtype.numpy))


def _like(name, fill):
    def function(
        input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
    ):
        kind = dtype or input.dtype
        array = np.empty_like(input._array, dtype=kind.numpy, order="K", subok=False)
        if memory_format is not None and memory_format.name != "preserve_format":
            array = np.empty(array.shape, array.dtype)
            if memory_format.name != "contiguous_format":
                array = in_format(array, memory_format)
        if any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)):
            array = np.empty(array.shape, array.dtype)
        if fill is not None:
            array.fill(fill) if array.size < LARGE else fill_with(array, fill)
        return finish(array, kind, requires_grad, device, layout, pin_memory)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"A tensor like `input` in shape, dtype and strides, unless told otherwise ({name[:-5]})."
    return factory(function)


zeros_like, ones_like, empty_like = _like("zeros_like", 0), _like("ones_like", 1), _like("empty_like", None)


@factory
def full_like(
    input,
    fill_value,
    *,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    memory_format=None,
    pin_memory=False,
):
    """A tensor like `input` filled with `fill_value`."""
    kind = dtype or input.dtype
    result = empty_like(
        input, dtype=kind, layout=layout, device=device, memory_format=memory_format, pin_memory=pin_memory
    )
    result._array.fill(scalar_of(fill_value.item() if isinstance(fill_value, Tensor) else fill_value, kind))
    return result.requires_grad_() if requires_grad else result


@factory
def arange(
    start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Numbers from `start` (0 if only an end is given) up to but not including `end`, `step` apart."""
    if end is None:
        start, end = 0, start
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if dtype is None:
        dtype = (
            out.dtype
            if out is not None
            else dtypes.int64
            if all(isinstance(x, (int, np.integer)) for x in (start, end, step))
            else dtypes.default.dtype
        )
    if dtype is dtypes.bool_ or dtype.is_complex:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{dtypes.SCALAR_NAMES[dtype]}'")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0 and start > end) or (step < 0 and start < end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype.category == dtypes.INTEGER:
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero")
        count = max(-(-(end - start) // step), 0)
        array = np.arange(start, start + count * step, step, dtype=np.int64).astype(dtype.numpy, copy=False)
    else:
        count = int(np.ceil((end - start) / step))
        array = ranges.counted(start, step, count, dtype.numpy)
    return finish(array, dtype, requires_grad, device, layout, pin_memory, out, "arange")


def inclusive_range(start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Numbers from `start` to `end`, the end included; deprecated in PyTorch in favour of `arange`."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's "
        "range builtin. Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    dtype = dtype or (dtypes.default.dtype if out is None else out.dtype)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (step > 0) != (end >= start) and end != start:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    count = int((end - start) / step + 1)
    array = (start + np.arange(count, dtype=np.float64) * step).astype(dtype.numpy)
    return finish(array, dtype, requires_grad, device, layout, False, out, "range")


FACTORIES["range"] = inclusive_range


def ends_given(name, start, end):
    """The ends of a range as numbers; raises RuntimeError for tensors of dimensions."""
    given = {what: x._array.ndim for what, x in (("start", start), ("end", end)) if isinstance(x, Tensor)}
    if any(given.values()):
        ranks = " and ".join(f"{what} with {ndim} dimension(s)" for what, ndim in given.items())
        raise RuntimeError(f"{name} only supports 0-dimensional start and end tensors, but got {ranks}.")
    return tuple(x.item() if isinstance(x, Tensor) else x for x in (start, end))


@factory
def linspace(
    start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """`steps` numbers from `start` to `end`, both included, evenly spaced."""
    start, end = ends_given("linspace", start, end)
    steps = steps_given("linspace", steps)
    if dtype is None:
        dtype = (
            out.dtype
            if out is not None
            else (
                dtypes.default.complex
                if isinstance(start, complex) or isinstance(end, complex)
                else dtypes.default.dtype
            )
        )
    return finish(spaced(start, end, steps, dtype), dtype, requires_grad, device, layout, pin_memory, out, "linspace")


def steps_given(name, steps):
    """How many numbers to make, an integer that isn't negative."""
    try:
        steps = operator.index(steps)
    except TypeError:
        raise TypeError(f"{name}(): argument 'steps' must be int, not {type(steps).__name__}") from None
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return steps


def spaced(start, end, steps, dtype, fused=True):
    """`steps` numbers from `start` to `end`; whole ones are cut off, others rounded as `ranges.spaced` says."""
    kind = dtype.numpy
    if steps == 1:
        return np.array([start]).astype(kind)
    if dtype.category > dtypes.INTEGER:
        return ranges.spaced(start, end, steps, kind, fused)
    start, end = int(start), int(end)
    step = (end - start) / (steps - 1) if steps else 0.0
    i = np.arange(steps)
    line = np.where(i < steps // 2, start + step * i, end - step * (steps - i - 1))
    return np.trunc(line).astype(kind)


@factory
def logspace(
    start,
    end,
    steps,
    base=10.0,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """`base` to the powers of `linspace(start, end, steps)`."""
    start, end = ends_given("logspace", start, end)
    steps = steps_given("logspace", steps)
    dtype = dtype or (dtypes.default.dtype if out is None else out.dtype)
    if dtype.category <= dtypes.INTEGER:
        start, end = int(start), int(end)
    exact = dtypes.float64 if dtype.category <= dtypes.INTEGER or dtype.itemsize < 8 else dtype
    exponents = spaced(start, end, steps, dtype if dtype.is_half and steps > 1 else exact, fused=False)
    array = np.power(np.asarray(base, exact.numpy), exponents.astype(exact.numpy, copy=False)).astype(dtype.numpy)
    return finish(array, dtype, requires_grad, device, layout, pin_memory, out, "logspace")


@factory
def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """The identity matrix of `n` rows and `m` (default `n`) columns."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(
            f"n must be greater or equal to 0, got {n}" if n < 0 else f"m must be greater or equal to 0, got {m}"
        )
    array = np.eye(n, m, dtype=(dtype or dtypes.default.dtype).numpy)
    return finish(array, dtype, requires_grad, device, layout, pin_memory, out, "eye")


@factory
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of this shape and these strides (in elements), unfilled."""
    dtype = dtype or dtypes.default.dtype
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of strides ({len(stride)})"
        )
    extent = sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + 1 if 0 not in size else 0
    memory = np.empty(max(extent, 0), dtype.numpy)
    array = shape_kernels.strided_window(memory, size, tuple(s * dtype.itemsize for s in stride))
    return finish(array, dtype, requires_grad, device, layout, pin_memory)


@factory
def scalar_tensor(s, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of no dimensions holding the number `s`, of the default dtype unless told otherwise."""
    dtype = dtype or (dtypes.default.complex if isinstance(s, complex) else dtypes.default.dtype)
    array = np.asarray(s).astype(dtype.numpy) if dtype.is_half else scalar_of(s, dtype)
    return finish(array, dtype, requires_grad, device, layout, pin_memory)


# --- from data --------------------------------------------------------------------------------------------------------

ACCEPTED = (bool, int, float, complex)


@factory
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False, names=None):
    """A leaf tensor holding a copy of `data`.

    Args:
        data: a number, a nested sequence of numbers, an array, or a tensor.
        dtype: the element type (default: what the data suggest; Python floats take the default dtype).
        requires_grad: whether operations on it are recorded.
    Raises:
        ValueError: the nested sequences do not form a rectangle. TypeError: data of another kind.
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=3,
        )
        array = data._array
        kind = dtype or data.dtype
        result = finish(np.array(astype(array, kind), copy=True, order="C"), kind, False, device, None, pin_memory)
        if rare.active:
            for observe in rare.on_result:
                observe("tensor", (data,), result, data._node)
        return result.requires_grad_() if requires_grad else result
    array, kind = array_of(data, dtype)
    result = entered(data, finish(array, kind, False, device, None, pin_memory))
    return result.requires_grad_() if requires_grad else result


def astype(array, dtype):
    """`array` in the NumPy type of `dtype`, the imaginary part dropped where there is no room for it."""
    if array.dtype == dtype.numpy:
        return array
    if array.dtype.kind == "c" and not dtype.is_complex:
        array = array.real
    return array.astype(dtype.numpy)


def array_of(data, dtype=None):
    """A new array with the values of `data`, and its dtype."""
    kind = type(data)
    if kind is float or kind is int or kind is bool or kind is complex:
        dtype = dtype or dtypes.of_scalar(data)
        if kind is int and dtype is dtypes.int64 and not -(2**63) <= data < 2**63:
            raise ValueError("Overflow when unpacking long long")
        return np.asarray(scalar_of(data, dtype) if dtype.category < 2 else np.array(data, dtype.numpy)), dtype
    if isinstance(data, np.ndarray | np.generic):
        check_array(np.asarray(data))
        if isinstance(data, float):  # np.float64 is a Python float to PyTorch too
            dtype = dtype or dtypes.float64
        dtype = dtype or FROM_NUMPY[data.dtype]
        return np.array(astype(np.asarray(data), dtype), copy=True, order="C", subok=False), dtype
    if hasattr(data, "__array_interface__") or (hasattr(data, "__array__") and not isinstance(data, (list, tuple))):
        return array_of(np.asarray(data), dtype)
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__") or isinstance(data, (str, bytes, dict)):
        if hasattr(data, "__index__"):
            return array_of(data.__index__(), dtype)
        if hasattr(data, "__float__") and not isinstance(data, str):
            return array_of(float(data), dtype)
        if isinstance(data, str):
            raise TypeError("new(): invalid data type 'str'")
        raise RuntimeError(f"Could not infer dtype of {kind.__name__}")
    return array_of_sequence(data, dtype)


NUMBERS = {bool, int, float}
ROWS = {list, tuple}


def array_of_plain_numbers(data, dtype):
    """What `array_of_sequence` does, for rows of Python's own numbers with nothing unusual about them, else None.

    It looks at the types of all elements at once, and leaves every one of them to NumPy.
    """
    shape, flat = [len(data)], data
    while (kinds := set(map(type, flat))) and kinds <= ROWS:
        width = len(flat[0])
        if any(len(row) != width for row in flat):
            return None
        shape.append(width)
        flat = list(chain.from_iterable(flat))
    if not kinds or not kinds <= NUMBERS:
        return None
    if dtype is None:
        dtype = dtypes.default.dtype if float in kinds else dtypes.int64 if int in kinds else dtypes.bool_
    if dtype.is_floating_point:
        return np.array(flat, np.float64).astype(dtype.numpy, copy=False).reshape(shape), dtype
    if (dtype is dtypes.int64 and kinds == {int}) or (dtype is dtypes.bool_ and kinds == {bool}):
        try:
            return np.array(flat, dtype.numpy).reshape(shape), dtype
        except OverflowError:
            raise ValueError("Overflow when unpacking long long") from None
    return None


def array_of_sequence(data, dtype):
    if type(data) in ROWS and (found := array_of_plain_numbers(data, dtype)) is not None:
        return found
    shape, leaves = [], data
    while hasattr(leaves, "__len__") and hasattr(leaves, "__getitem__") and not isinstance(leaves, (str, bytes, dict)):
        if isinstance(leaves, Tensor):  # it stands for its one element
            break
        if isinstance(leaves, np.ndarray):
            shape.extend(leaves.shape)
            break
        shape.append(len(leaves))
        if not len(leaves):
            break
        leaves = leaves[0]
    flat, found = [], None
    found = collect(data, tuple(shape), 0, flat, found)
    if dtype is None:
        dtype = found or dtypes.default.dtype
    if dtype.category <= dtypes.INTEGER and flat:
        if dtype.category == dtypes.BOOL:
            array = np.array([bool(x) for x in flat], np.bool_)
        elif all(type(x) is int for x in flat):
            info = np.iinfo(dtype.numpy)
            low, high = min(flat), max(flat)
            if low < -(2**63) or high >= 2**64:
                raise ValueError("Overflow when unpacking long long")
            if low < info.min or high > info.max:
                if dtype is dtypes.int64:
                    raise ValueError("Overflow when unpacking long long")
                raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")
            array = np.array(flat, dtype.numpy)
        else:
            array = np.array([int(x) for x in flat]).astype(dtype.numpy)
    elif dtype.is_floating_point and any(isinstance(x, complex) for x in flat):
        raise RuntimeError("value cannot be converted to a real type without loss: it is complex")
    else:
        array = (
            np.array(flat, np.complex128 if dtype.is_complex else np.float64).astype(dtype.numpy)
            if flat
            else np.empty(0, dtype.numpy)
        )
    return array.reshape(shape), dtype


def collect(data, shape, depth, flat, found):
    """Append the numbers of nested sequences to `flat`; return the dtype they suggest together."""
    if isinstance(data, (Tensor, np.ndarray, np.generic)):
        array = data._array if isinstance(data, Tensor) else np.asarray(data)
        if array.shape != shape[depth:] and (depth < len(shape) or array.size != 1):
            if depth == len(shape):
                raise ValueError("only one element tensors can be converted to Python scalars")
            raise ValueError(mismatch(shape, depth, array.shape[0] if array.ndim else 1))
        flat.extend(array.reshape(-1).tolist() if array.dtype.kind != "V" else [float(x) for x in array.reshape(-1)])
        kind = data.dtype if isinstance(data, Tensor) else FROM_NUMPY[array.dtype]
        return kind if found is None else dtypes.promote_types(found, kind)
    if depth == len(shape):
        kind = type(data)
        if kind not in ACCEPTED:
            if isinstance(data, ACCEPTED):
                pass
            elif hasattr(data, "__index__"):
                data = data.__index__()
            elif isinstance(data, str):
                raise TypeError("new(): invalid data type 'str'")
            elif hasattr(data, "__len__"):
                raise ValueError(mismatch(shape, depth, 1))
            elif hasattr(data, "__float__"):
                data = float(data)
            else:
                raise RuntimeError(f"Could not infer dtype of {kind.__name__}")
        flat.append(data)
        suggested = dtypes.of_scalar(data)
        if found is None or found is suggested:
            return suggested
        return dtypes.promote_types(found, suggested)
    if isinstance(data, (str, bytes, dict)) or not hasattr(data, "__len__"):
        raise (
            TypeError(
                f"not a sequence: expected a sequence of length {shape[depth]} at dim {depth}, got "
                f"{type(data).__name__}"
            )
            if not isinstance(data, ACCEPTED)
            else ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got a number)")
        )
    if len(data) != shape[depth]:
        raise ValueError(mismatch(shape, depth, len(data)))
    for item in data:
        found = collect(item, shape, depth + 1, flat, found)
    return found


def mismatch(shape, depth, got):
    expected = shape[depth] if depth < len(shape) else 0
    return f"expected sequence of length {expected} at dim {depth} (got {got})"


@factory
def as_tensor(data, dtype=None, device=None):
    """`data` as a tensor, sharing memory (and graph) where it is a tensor or an array of the dtype asked for."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None or dtype is data.dtype else to(data, dtype)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        return shared if dtype is None or dtype is shared.dtype else to(shared, dtype)
    return tensor(data, dtype=dtype)


# --- conversions ------------------------------------------------------------------------------------------------------

INNER = {"function": False, "method": False}


def _converted(input, dtype, source, order):
    if input.dtype.kind == "c" and not dtype.is_complex and dtype is not dtypes.bool_:
        warnings.warn("Casting complex values to real discards the imaginary part", UserWarning, stacklevel=6)
        input = input.real
    elif dtype.category == dtypes.INTEGER and input.dtype.kind in "fV" and input.dtype.itemsize < 8:
        input = input.astype(np.float64)
    elif dtype is dtypes.float16 and input.dtype == np.float64:
        input = input.astype(np.float32)  # PyTorch's 16-bit floats are rounded from float32
    return input.astype(dtype.numpy, order=order)


to_copy = primitive(
    "to_copy", _converted, node="ToCopyBackward0", holomorphic=False, **INNER,
    input=lambda g, dtype, source, order: to_copy(
        g.real if dtype.is_complex and not source.is_complex else g, source, dtype, order
    ),
)  # fmt: skip


def to(self, *args, **kwargs):
    """This tensor in another dtype (or memory format): itself if nothing changes, else a copy in the graph.

    Args: ``to(dtype)``, ``to(device)``, ``to(other)``, with ``non_blocking``, ``copy`` and ``memory_format``.
    """
    try:
        if len(args) == 1 and not kwargs and type(args[0]) in (dtype_class, device_class):
            check_device(args[0] if type(args[0]) is device_class else None)
            dtype, copy, memory_format = (args[0] if type(args[0]) is dtype_class else None), False, None
        else:
            dtype, copy, memory_format = conversion_given(*args, **kwargs)
    except MetaAsked:
        dtype = conversion_given(*(cpu if names_device(a) else a for a in args), **{**kwargs, "device": None})[0]
        return importlib.import_module("wengert.meta").like(self, dtype)
    if dtype is None or dtype is self.dtype:
        if copy and memory_format is None:
            return to_copy.function(self, self.dtype, self.dtype, "K")
        ordered = memory_format is not None and memory_format.name != "preserve_format"
        if copy or (ordered and not self.is_contiguous(memory_format)):
            return clone(self, memory_format=memory_format)
        return self
    if rare.active or dtype.differentiable or self._node is None:
        result = to_copy.function(self, dtype, self.dtype, "K")
    else:
        result = to_copy.function(self.detach(), dtype, self.dtype, "K")
        if rare.active:
            for observe in rare.on_result:
                observe("to", (self,), result, self._node)
    if memory_format is not None and memory_format.name != "preserve_format":
        return result.contiguous(memory_format=memory_format)
    return result


def names_device(value):
    return isinstance(value, (str, device_class))


def conversion_given(*args, device=None, dtype=None, other=None, non_blocking=False, copy=False, memory_format=None):
    args = list(args)
    if other is not None:
        args.insert(0, other)
    if args:
        first = args.pop(0)
        if isinstance(first, Tensor):
            dtype = first.dtype
        elif isinstance(first, dtype_class):
            dtype = first
        elif type(first) is type and first in dtypes.BY_PYTHON:
            dtype = dtypes.BY_PYTHON[first]
        else:
            device = first if first is not None else device
            if args and (isinstance(args[0], dtype_class) or args[0] is None or args[0] in dtypes.BY_PYTHON):
                dtype = args.pop(0)
        if args:
            args.pop(0)  # non_blocking: there is nothing to wait for
        if args:
            copy = args.pop(0)
    if device is not None and not isinstance(device, (str, int, device_class)):
        raise TypeError(
            f"to() received an invalid combination of arguments: {type(device).__name__} is neither dtype nor device"
        )
    check_device(device)
    return dtypes.from_python(dtype), copy, memory_format


Tensor.to = to


def _to_type(dtype_name, dtype):
    def convert(self, memory_format=None):
        return to(self, dtype) if memory_format is None else to(self, dtype, memory_format=memory_format)

    convert.__name__ = dtype_name
    convert.__doc__ = f"This tensor as {dtype}."
    return convert


CONVERSIONS = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16,
    "int": dtypes.int32, "long": dtypes.int64, "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8,
    "bool": dtypes.bool_, "cfloat": dtypes.complex64, "cdouble": dtypes.complex128,
}  # fmt: skip
for _name, _dtype in CONVERSIONS.items():
    setattr(Tensor, _name, _to_type(_name, _dtype))
Tensor.type_as = lambda self, other: to(self, other.dtype)
Tensor.cpu = lambda self, memory_format=None: self


def cuda(self, device=None, non_blocking=False, memory_format=None):
    """Refused: wengert computes on the CPU."""
    check_device("cuda" if device is None else device)


Tensor.cuda = cuda

# --- writes -----------------------------------------------------------------------------------------------------------


class Overwrite(Pointwise):
    """``copy_`` and ``fill_``: the new values are converted to the tensor's dtype, whatever they were."""

    def prepare_inplace(self, values):
        from wengert.ops.declare import convert

        self.check_types(values)
        target, source = values["input"], values["other"]
        if isinstance(source, Tensor):
            if not target.dtype.is_complex and source.dtype.is_complex:
                warnings.warn("Casting complex values to real discards the imaginary part", UserWarning, stacklevel=5)
            values["other"] = convert(source, target.dtype)
        else:
            values["other"] = wrap(scalar_of(source, target.dtype), target.dtype)
        return values


def fitted(input, other):
    """The new values, broadcast to the tensor that they overwrite."""
    if other.shape == input.shape:
        return other
    try:
        return np.broadcast_to(other, input.shape)
    except ValueError:
        common = broadcast_shapes(input.shape, other.shape)
        raise RuntimeError(
            f"output with shape {list(input.shape)} doesn't match the broadcast shape {list(common)}"
        ) from None


def overwrite(input, other):
    """Fill in place: the one write to which elements that share memory are no obstacle."""
    places = input
    if not input.flags.writeable:
        first = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in input.strides)
        places = interop.writable(input[first])
    fill_with(places, other)


copy = Overwrite(
    "copy", fitted, {"input": lambda g: zeros_of(g), "other": lambda g: g},
    node="CopyBackwards",
).export(inplace=False, function=False, method=False)  # fmt: skip
fill = Overwrite(
    "fill", fitted, {"input": lambda g: zeros_of(g), "other": lambda g: g},
    node="FillBackward3", scalar_node="FillBackward2",
).export(inplace=False, function=False, method=False)  # fmt: skip
zero = Overwrite(
    "zero", fitted, {"input": lambda g: zeros_of(g)}, node="ZeroBackward0",
    tensors=("input", "other"),
).export(inplace=False, function=False, method=False)  # fmt: skip


fill.kernel_inplace = zero.kernel_inplace = lambda: overwrite
fill.overlap = zero.overlap = None  # what they write is a number, read before


def copy_(self, src, non_blocking=False):
    """Overwrite this tensor with the elements of `src`, broadcast and converted; returns it."""
    return copy.variant("inplace")(self, src)


def unwatched(tensor):
    """Whether a write into it concerns nobody: a plain tensor outside of the graph, and no view."""
    return tensor._node is None and tensor._base is None and not rare.active and type(tensor) is Tensor


def fill_(self, value):
    """Overwrite every element with `value`, a number or a tensor of no dimensions; returns this tensor."""
    if isinstance(value, Tensor) and value._array.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value._array.ndim} dimensions."
        )
    plain = (type(value) is float or type(value) is int) and self.dtype.takes_numbers and unwatched(self)
    if plain and -FLOAT32_MAX <= value <= FLOAT32_MAX:
        overwrite(self._array, value)
        views.bump(self)
        return self
    return fill.variant("inplace")(self, value)


def zero_(self):
    """Overwrite every element with 0; returns this tensor."""
    if unwatched(self):
        overwrite(self._array, 0)
        views.bump(self)
        return self
    return zero.variant("inplace")(self, 0)


Tensor.copy_, Tensor.fill_, Tensor.zero_ = copy_, fill_, zero_

# --- new_*, and Tensor(...) itself ------------------------------------------------------------------------------------


def of_its_class(method):
    """Make a method ask the classes that override: the default one gives the result the class of the tensor."""

    @functools.wraps(method)
    def public(self, *args, **kwargs):
        if type(self) is not Tensor and overrides.has_override(self):
            return overrides.handle(public, (self,), (self, *args), kwargs)
        return method(self, *args, **kwargs)

    return public


def _new(name, make):
    @of_its_class
    def function(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
        if "size" in named:
            size = (named.pop("size"),)
        refuse(named, name)
        return make(
            *size,
            dtype=dtype or self.dtype,
            device=device,
            requires_grad=requires_grad,
            layout=layout,
            pin_memory=pin_memory,
        )

    function.__name__ = name
    function.__doc__ = f"`{make.__name__}` with this tensor's dtype unless told otherwise."
    setattr(Tensor, name, function)


_new("new_zeros", zeros)
_new("new_ones", ones)
_new("new_empty", empty)


@of_its_class
def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """`full` with this tensor's dtype unless told otherwise."""
    return full(
        size,
        fill_value,
        dtype=dtype or self.dtype,
        device=device,
        requires_grad=requires_grad,
        layout=layout,
        pin_memory=pin_memory,
    )


@of_its_class
def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
    """A copy of `data` with this tensor's dtype unless told otherwise."""
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


@of_its_class
def new_empty_strided(
    self, size, stride, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False
):
    """`empty_strided` with this tensor's dtype unless told otherwise."""
    return empty_strided(size, stride, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


Tensor.new_full, Tensor.new_tensor, Tensor.new_empty_strided = new_full, new_tensor, new_empty_strided


def construct(cls, *args, dtype=None, device=None, size=None):
    """``torch.Tensor(2, 3)``: unfilled of this shape; ``torch.Tensor([1, 2])``: of these data; in the default dtype."""
    check_device(device)
    if size is not None and not args:
        args = (Size(size),)
    if len(args) == 1 and isinstance(args[0], Tensor):
        if dtype not in (None, args[0].dtype):
            raise TypeError(f"expected a tensor of {dtype} (got one of {args[0].dtype})")
        return args[0].as_subclass(cls)
    dtype = dtype or dtypes.default.dtype
    if not args:
        result = wrap(np.empty((0,), dtype.numpy), dtype)
    elif len(args) == 1 and isinstance(args[0], Size):
        result = empty(args[0], dtype=dtype)
    elif all(isinstance(a, int) and not isinstance(a, bool) for a in args):
        result = empty(*args, dtype=dtype)
    elif len(args) == 1 and isinstance(args[0], (float, complex)):
        raise TypeError(f"new(): data must be a sequence (got {type(args[0]).__name__})")
    elif len(args) == 1 and hasattr(args[0], "line"):
        result = on_storage(args[0], dtype)
    elif len(args) == 1:
        result = tensor(args[0], dtype=dtype)
    else:
        raise TypeError(f"new(): invalid combination of arguments: {', '.join(type(a).__name__ for a in args)}")
    if cls is not Tensor:
        result = Tensor._make_subclass(cls, result)
    return result


sys.modules[Tensor.__new__.__module__].construct = construct
Tensor.new = of_its_class(
    lambda self, *args, size=None, device=None: construct(Tensor, *args, dtype=self.dtype, device=device, size=size)
)


def on_storage(storage, dtype):
    """A vector on the memory of a storage, which must hold elements of this dtype, or bytes."""
    held = getattr(storage, "dtype", dtype)
    if held is not dtype:
        names = dtypes.SCALAR_NAMES
        raise RuntimeError(
            f"Expected a Storage of type {names[dtype]} or an UntypedStorage, but got type {names[held]} for argument "
            "1 'storage'"
        )
    return wrap(storage.line(dtype), dtype)


def set_(self, source=None, storage_offset=0, size=None, stride=None):
    """Make this tensor look at the memory of `source` (a tensor or a storage)."""
    if source is None:
        self._array = np.empty((0,), self.dtype.numpy)
        return self
    array = source._array if isinstance(source, Tensor) else source.line(self.dtype)
    if size is not None:
        strides = stride or tuple(
            s // array.itemsize for s in shape_kernels.contiguous_strides(tuple(size), array.itemsize)
        )
        array, _ = shape_kernels.as_strided(array, tuple(size), tuple(strides), storage_offset)
    self._array = array
    if isinstance(source, Tensor):
        source._counter = source._counter or Version()
        self._counter = source._counter
    if type(self._node) is AccumulateGrad:  # what was recorded before led to other memory
        grad, self._node = self._node.grad, AccumulateGrad(self)
        self._node.grad = grad
    views.bump(self)
    return self


def resize_(self, *sizes, memory_format=None):
    """Change the shape in place; elements keep their places in memory, new memory is unfilled.

    Args:
        sizes: the new extents.
        memory_format: the order in which the new dimensions lie there, row-major unless it says otherwise.

    Raises:
        RuntimeError: the tensor is in a graph, or the shape is more than memory can be.
    """
    shape = dims_given(sizes, "resize_")
    if self._node is not None:
        raise RuntimeError("cannot resize variables that require grad")
    array = self._array
    lie = row_major if memory_format is None else lying_in(memory_format, len(shape))
    if array.shape == shape and memory_format is None:
        return self
    if math.prod(shape) > sys.maxsize:
        raise RuntimeError("numel: integer multiplication overflow")
    check_extent(shape, array.itemsize)
    views.bump(self)
    root = shape_kernels.root_of(array)
    start = (shape_kernels.address(array) - shape_kernels.address(root)) // array.itemsize if array.size else 0
    needed = int(np.prod(shape, dtype=int))
    available = shape_kernels.extent_of(root) // array.itemsize - start
    if needed <= available and root.dtype == array.dtype and root.flags.c_contiguous:
        line = root.reshape(-1)[start : start + needed]
        self._array = lie(line, shape)
        return self
    fresh = np.empty(needed, array.dtype)
    old = root.reshape(-1)[start:] if root.dtype == array.dtype and root.flags.c_contiguous else array.reshape(-1)
    fresh[: old.size] = old[:needed]
    self._array = lie(fresh, shape)
    return self


def row_major(line, shape):
    return line.reshape(shape)


def lying_in(memory_format, ndim):
    """How elements in a line become an array of `ndim` dimensions that lies in `memory_format`."""
    if memory_format is contiguous_format:
        return row_major
    if memory_format is preserve_format:
        raise RuntimeError("Unsupported memory formatPreserve")
    check_rank(memory_format, ndim)
    return lambda line, shape: np.moveaxis(line.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def resize_as_(self, other, *, memory_format=None):
    """`resize_` to the shape of `other`, and to the order in which its dimensions lie under `preserve_format`."""
    if memory_format is preserve_format:
        orders = (channels_last, channels_last_3d)
        memory_format = next((order for order in orders if other.is_contiguous(order)), contiguous_format)
    return resize_(self, other._array.shape, memory_format=memory_format)


Tensor.set_, Tensor.resize_, Tensor.resize_as_ = set_, resize_, resize_as_
