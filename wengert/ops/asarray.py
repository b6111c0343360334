"""`asarray`: whatever holds numbers, as a tensor, on the same memory where that is possible."""

import numpy as np

from wengert.devices import check
from wengert.dlpack import from_dlpack
from wengert.dtypes import SCALAR_NAMES, default
from wengert.interop import buffer_array, from_numpy, warn_once
from wengert.ops.creation import tensor
from wengert.storage import UntypedStorage
from wengert.tensor import Tensor, wrap


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """A tensor of what `obj` holds.

    Args:
        obj: a tensor, NumPy array, DLPack capsule, object with the buffer protocol, number or nested sequence.
        dtype: of the result; that of `obj` if not given (a buffer's bytes stand for the default dtype).
        device: the CPU, or None.
        copy: True for memory of its own, False to fail rather than copy, None to share where possible.
        requires_grad: True or False for a result that is recorded or not; None for that of `obj`.

    Raises:
        ValueError: `copy` is False where memory cannot be shared.
        RuntimeError: `requires_grad` for a dtype without derivatives.
    """
    check(device)
    shared = _shared(obj, dtype, copy)
    if shared is None:
        result = tensor(obj, dtype=dtype)
    else:
        if dtype is not None and dtype is not shared.dtype and copy is False:
            names = SCALAR_NAMES[shared.dtype], SCALAR_NAMES[dtype]
            raise ValueError("can't alias tensor with dtype '{}' into dtype '{}'.".format(*names))
        converted = dtype is not None and dtype is not shared.dtype
        result = shared.to(dtype) if converted else shared.clone() if copy else shared
    if requires_grad is None:
        if result.requires_grad:
            warn_once(
                "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. Pass "
                "requires_grad=False explicitly to get the old behavior and silence this warning."
            )
        return result
    if not requires_grad:
        return result.detach() if result.requires_grad else result
    if not result.dtype.differentiable:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return result.requires_grad_(True)


def _shared(obj, dtype, copy):
    """A tensor on the memory of `obj`, or None where its numbers have to be gathered first."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, UntypedStorage):
        element = getattr(obj, "dtype", None) or dtype or default.dtype
        return wrap(obj.line(element), element)
    if isinstance(obj, np.generic):
        if copy is False:
            raise RuntimeError("can't alias NumPy scalars. Either remove copy=False or transform it in a ndarray. ")
        return None
    if type(obj).__name__ == "PyCapsule":
        return from_dlpack(obj)
    try:
        memoryview(obj)
    except TypeError:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.") from None
        return None
    element = dtype or default.dtype
    return wrap(buffer_array(obj, element, -1, 0), element)
