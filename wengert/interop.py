"""One memory, two owners: tensors and NumPy arrays, buffers, Python numbers.

A tensor already is an array with a place in the graph, so sharing costs nothing; what needs care is what may not be
shared. An array must not leave a tensor that requires grad, for NumPy records no graph. An array that enters must have
a dtype, a byte order and strides that tensors know. And a tensor's memory is always writable: a read-only array that
enters is taken by an alias that is not, with a warning, as PyTorch does. The functions here that take `self` become
methods of Tensor.
"""

import warnings

import numpy as np

from wengert.autograd.graph import grad_mode, rare
from wengert.autograd.views import bump
from wengert.dtypes import FROM_NUMPY, SCALAR_NAMES
from wengert.tensor import Tensor, wrap

# What NumPy itself knows. ml_dtypes' arrays are not accepted, nor given out, as PyTorch has no such NumPy dtypes.
NUMPY_NAMES = (
    "float64", "float32", "float16", "complex64", "complex128",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
)  # fmt: skip
NUMPY_DTYPES = frozenset(map(np.dtype, NUMPY_NAMES))


# --- out ------------------------------------------------------------------------------------------------------------


def left(kind, tensor, value):
    """`value`, which leaves `tensor` for the world of plain Python; whoever watches is told."""
    if rare.active:
        for observe in rare.on_result:
            observe(kind, (tensor,), value, tensor._node)
    return value


def numpy(self, *, force=False):
    """The NumPy array on this tensor's memory.

    Args:
        force: detach first, so that a tensor that requires grad gives its array too.

    Raises:
        RuntimeError: the tensor requires grad.
        TypeError: NumPy has no such dtype (bfloat16, float8).
    """
    if self.requires_grad and not force and grad_mode.enabled:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    array = self._array
    if array.dtype not in NUMPY_DTYPES:
        raise TypeError(f"Got unsupported ScalarType {SCALAR_NAMES[self.dtype]}")
    # A view, so that reshaping the array in place leaves the tensor as it is.
    return left("numpy", self, array.view() if array.flags.writeable else writable(array))


def __array__(self, dtype=None, copy=None):
    """What ``np.asarray(tensor)`` calls: `numpy()`, converted to `dtype` if given, copied if `copy`."""
    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError(f"Unable to avoid copy while converting an array of {array.dtype} to {np.dtype(dtype)}.")
        return array.astype(dtype)
    return array.copy() if copy else array


def __array_wrap__(self, array, context=None, return_scalar=False):
    """What a NumPy function makes of its result when an argument was a tensor: a tensor, of uint8 for booleans."""
    return from_numpy(array.astype(np.uint8) if array.dtype == np.bool_ else array)


# --- in -------------------------------------------------------------------------------------------------------------


def entered(data, tensor):
    """`tensor`, made of what plain Python or NumPy held; whoever watches is told."""
    if rare.active:
        for observe in rare.on_result:
            observe("entered", (data,), tensor, None)
    return tensor


class _Memory:
    """Presents an array's memory as writable, and keeps the array alive."""

    def __init__(self, array):
        self._owner = array
        described = array.__array_interface__  # without strides where they don't matter; here they are kept
        self.__array_interface__ = {**described, "data": (described["data"][0], False), "strides": array.strides}


def alias(array):
    """A writable array on the memory of `array`, which begins a storage of its own, whatever `array` is a view of."""
    if not array.size:
        return np.empty(array.shape, array.dtype)  # no memory to share
    plain = array if array.dtype in NUMPY_DTYPES else array.view(f"u{array.itemsize}")
    return np.asarray(_Memory(plain)).view(array.dtype)


def writable(array):
    """`array`, or an alias of it that may be written to: a tensor has no read-only memory."""
    return array if array.flags.writeable else alias(array)


_warned: set[str] = set()


def warn_once(message):
    """Warn the first time only, as PyTorch's core does."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, UserWarning, stacklevel=3)


READ_ONLY = (
    "The given {kind} is not writable, and tensors are always writable. Writing to this tensor writes to memory that "
    "others rely on not to change. You may want to copy the {kind} to protect its data or make it writable before "
    "converting it to a tensor. This type of warning will be suppressed for the rest of this program."
)


def check_strides(array):
    """Raise ValueError where memory is not walked forward in steps of whole elements."""
    if min(array.strides, default=0) < 0 and array.size:
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array  with "
            "array.copy().) "
        )
    if any(stride % array.itemsize for stride in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
            "reallocate the memory."
        )


def check_array(obj):
    """Raise TypeError or ValueError unless `obj` is an array that a tensor can be made of."""
    if not isinstance(obj, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_type_name(type(obj))})")
    if not obj.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )
    if obj.dtype not in NUMPY_DTYPES:
        raise TypeError(
            f"can't convert np.ndarray of type {_type_name(obj.dtype.type)}. The only supported types are: "
            f"{', '.join(NUMPY_NAMES[:-1])}, and {NUMPY_NAMES[-1]}."
        )
    check_strides(obj)


def adopt(array):
    """The memory of a NumPy array as a tensor holds it: plain, writable, the beginning of a storage."""
    check_array(array)
    if array.base is None and array.flags.writeable and type(array) is np.ndarray:
        return array
    # A broadcast array stays read-only: operations tell by it that elements share one place, and refuse to write.
    return array.view(np.ndarray) if 0 in array.strides and array.size > 1 else alias(array)


def _type_name(type_):
    return type_.__name__ if type_.__module__ == "builtins" else f"{type_.__module__}.{type_.__name__}"


def from_numpy(ndarray):
    """A tensor on the memory of a NumPy array: writes to either are seen by both.

    Args:
        ndarray: any shape; a dtype of `NUMPY_NAMES`, native byte order, no negative strides.

    Raises:
        TypeError: not an array, or of a dtype that tensors lack.
        ValueError: foreign byte order, or strides that tensors lack.
    """
    array = adopt(ndarray)
    if not ndarray.flags.writeable:
        warn_once(READ_ONLY.format(kind="NumPy array"))
    return entered(ndarray, wrap(array, FROM_NUMPY[array.dtype]))


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A one-dimensional tensor on the memory of an object with the buffer protocol.

    Args:
        buffer: bytes, bytearray, memoryview, array.array, mmap, ...; contiguous.
        dtype: what its bytes stand for.
        count: number of elements; negative for all there are.
        offset: bytes to skip at the start.
        requires_grad: whether operations on the tensor are recorded.

    Raises:
        ValueError: no buffer, an empty one, or one that `dtype`, `count` and `offset` do not fit.
    """
    array = buffer_array(buffer, dtype, count, offset)
    if requires_grad and not dtype.differentiable:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return wrap(array, dtype).requires_grad_(True) if requires_grad else wrap(array, dtype)


def buffer_array(buffer, dtype, count, offset):
    """The array of `frombuffer`."""
    try:
        memory = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if not memory.contiguous:
        raise RuntimeError("could not retrieve buffer from object")
    length, size = memory.nbytes, dtype.itemsize
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    rest = length - offset
    if count > 0 and count * size > rest:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({length} bytes)"
        )
    if count < 0 and rest % size:
        raise ValueError(
            f"buffer length ({rest} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
        )
    if memory.readonly:
        warn_once(READ_ONLY.format(kind="buffer"))
    return writable(np.frombuffer(buffer, dtype.numpy, max(count, -1), offset))


# --- Python numbers -------------------------------------------------------------------------------------------------


def item(self):
    """The only element, as a Python number; raises RuntimeError if there are several or none."""
    array = self._array
    if array.size != 1:
        raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
    return left("item", self, array.item())


def tolist(self):
    """The elements as Python numbers, in nested lists; a bare number for a tensor without dimensions."""
    return left("tolist", self, self._array.tolist())


def _number(self):
    if self._array.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return left("item", self, self._array.item())


def _real_number(self, kind):
    number = _number(self)
    if isinstance(number, complex):
        if number.imag:
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
        return number.real
    return number


def _warn_differentiable(self):
    if self.requires_grad and grad_mode.enabled:
        warn_once(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
            "Consider using tensor.detach() first."
        )


def __float__(self):
    _warn_differentiable(self)
    return float(_real_number(self, "double"))


def __int__(self):
    return int(_real_number(self, "int64_t"))


def __complex__(self):
    _warn_differentiable(self)
    return complex(_number(self))


def __bool__(self):
    if self._array.size != 1:
        amount = "more than one value" if self._array.size else "no values"
        raise RuntimeError(f"Boolean value of Tensor with {amount} is ambiguous")
    return bool(self._array.item())


def __index__(self):
    if self._array.size != 1 or self._array.dtype.kind not in "biu":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(self._array.item())


# --- element by element through Python ------------------------------------------------------------------------------


def apply_(self, callable):
    """Replace each element by ``callable(element)``, in place; slow, for a Python function sees one number at a time.

    Raises RuntimeError for a tensor that requires grad: nothing is recorded.
    """
    if self.requires_grad:
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    array = self._array
    for place in np.ndindex(array.shape):
        array[place] = callable(array[place].item())
    bump(self)
    return self


def map_(self, tensor, callable):
    """Replace each element by ``callable(element, its counterpart in tensor)``, in place; `tensor` is broadcast."""
    if self.requires_grad or tensor.requires_grad:
        raise RuntimeError("Can't call map_() on Variable that requires grad. Use var.detach().map_() instead.")
    if tensor.dtype is not self.dtype:
        raise TypeError(f"map_(): expected argument 'tensor' of dtype {self.dtype}, got {tensor.dtype}")
    array = self._array
    other = np.broadcast_to(tensor._array, array.shape)
    for place in np.ndindex(array.shape):
        array[place] = callable(array[place].item(), other[place].item())
    bump(self)
    return self


for _method in (
    apply_, map_, numpy, __array__, __array_wrap__, item, tolist, __float__, __int__, __complex__, __bool__, __index__,
):  # fmt: skip
    setattr(Tensor, _method.__name__, _method)
