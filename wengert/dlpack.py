"""DLPack: handing memory to other array libraries, and taking theirs, without a copy.

The protocol passes a capsule around a C struct that describes memory: address, device, dtype, shape, strides. NumPy
makes and reads such capsules for its own dtypes. bfloat16 and float8 are not among them, so they travel as unsigned
integers of the same size, and the one byte of the struct that says "unsigned" is exchanged on the way.
"""

import ctypes
from enum import IntEnum

import numpy as np

from wengert.dtypes import FROM_NUMPY, bfloat16, float8_e4m3fn, float8_e5m2
from wengert.interop import check_strides, writable
from wengert.tensor import Tensor, wrap


class DLDeviceType(IntEnum):
    """The protocol's numbers for kinds of devices."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14


CPU = (DLDeviceType.kDLCPU, 0)

UNSIGNED = 1
# The protocol's codes for the dtypes that NumPy lends no capsule.
FOREIGN_CODES = {bfloat16: 4, float8_e4m3fn: 10, float8_e5m2: 12}
FOREIGN_DTYPES = {(code, dtype.itemsize * 8): dtype for dtype, code in FOREIGN_CODES.items()}

# Where the dtype (code, bits) stands in the struct: behind data, device and ndim; in the newer struct, also behind
# version, context, deleter and flags.
DTYPE_OFFSETS = {"dltensor": 20, "dltensor_versioned": 52}

_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype, _capsule_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _dtype_field(capsule):
    """The two bytes (code, bits) of a capsule's dtype, writable; None if it is no unused DLPack capsule."""
    if type(capsule).__name__ != "PyCapsule":
        return None
    name = _capsule_name(capsule)
    offset = DTYPE_OFFSETS.get((name or b"").decode())
    return None if offset is None else (ctypes.c_uint8 * 2).from_address(_capsule_pointer(capsule, name) + offset)


def __dlpack__(self, *, stream=-1, max_version=None, dl_device=None, copy=None):
    """A capsule on the memory of this tensor, for another library's ``from_dlpack``.

    Args:
        stream: None or -1, since there are no streams on the CPU.
        max_version: the newest protocol version, (major, minor), that the consumer reads.
        dl_device: the (type, index) of the device wanted; the CPU's, or None.
        copy: True for a capsule on memory of its own.

    Raises:
        BufferError: the tensor requires grad.
        NotImplementedError: the memory is wanted on another device.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and stream != -1:
        raise AssertionError("stream should be None on cpu.")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise NotImplementedError(f"__dlpack__(dl_device={tuple(dl_device)}): wengert's memory is on the CPU, (1, 0)")
    array = self._array.copy() if copy else writable(self._array)
    code = FOREIGN_CODES.get(self.dtype)
    if code is not None:
        array = array.view(f"u{array.itemsize}")
    capsule = _lend(array, max_version)
    if code is not None:
        _dtype_field(capsule)[0] = code
    return capsule


def _lend(array, max_version):
    if max_version is None:
        return array.__dlpack__()
    try:
        return array.__dlpack__(max_version=max_version)
    except TypeError:  # NumPy 2.0 has the old protocol only, which every consumer reads
        return array.__dlpack__()


def __dlpack_device__(self):
    """The device of this tensor in the protocol's numbers."""
    return CPU


class _Lender:
    """Offers a capsule to NumPy, whose `from_dlpack` takes objects."""

    def __init__(self, capsule):
        self._capsule = capsule

    def __dlpack__(self, **request):
        return self._capsule

    def __dlpack_device__(self):
        return CPU


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor on the memory of another library's array.

    Args:
        ext_tensor: an object with ``__dlpack__``, or a capsule that nobody has used yet.
        device: where the tensor should live: the CPU, or None.
        copy: True for memory of its own, False to fail rather than copy, None to let the producer decide.

    Raises:
        RuntimeError: neither an array nor an unused capsule.
        ValueError: a stride is negative.
        NotImplementedError: the memory is on another device.
    """
    capsule = _borrow(ext_tensor, device, copy) if hasattr(ext_tensor, "__dlpack__") else ext_tensor
    field = _dtype_field(capsule)
    if field is None:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            "might have already constructed a tensor from it once."
        )
    foreign = FOREIGN_DTYPES.get(tuple(field))
    if foreign is not None:
        field[0] = UNSIGNED
    array = writable(np.from_dlpack(_Lender(capsule)))
    if foreign is not None:
        array = array.view(foreign.numpy)
    check_strides(array)
    return wrap(array, FROM_NUMPY[array.dtype])


def _borrow(producer, device, copy):
    """The capsule of `producer`, in the newest version that both sides speak."""
    from wengert.devices import check

    check(device)
    kind, index = producer.__dlpack_device__()
    if kind != DLDeviceType.kDLCPU:
        raise NotImplementedError(f"from_dlpack(): the memory is on DLPack device {(int(kind), index)}, not on the CPU")
    request = {"max_version": (1, 0)}
    if device is not None:
        request["dl_device"] = CPU
    if copy is not None:
        request["copy"] = copy
    try:
        return producer.__dlpack__(**request)
    except TypeError:  # the producer predates version 1 of the protocol
        del request["max_version"]
        return producer.__dlpack__(**request)


def to_dlpack(tensor):
    """A capsule on the memory of `tensor`, in the old form that every consumer reads."""
    return tensor.__dlpack__()


Tensor.__dlpack__ = __dlpack__
Tensor.__dlpack_device__ = __dlpack_device__
