"""How tensors and storages travel between processes: as the descriptor of the shared memory that they lie in."""

from multiprocessing import reduction

import numpy as np

from wengert import copying, sharing
from wengert.dtypes import BY_NAME
from wengert.kernels.shape import root_of
from wengert.storage import TypedStorage, UntypedStorage
from wengert.tensor import Parameter, Tensor, wrap


def handed_over(array):
    """(descriptor, size, offset, shape, strides) by which another process finds an array in shared memory."""
    block = sharing.block_under(array)
    offset = array.__array_interface__["data"][0] - root_of(array).__array_interface__["data"][0]
    return reduction.DupFd(block.fd), len(block), offset if array.size else 0, array.shape, array.strides


def found(descriptor, size, offset, shape, strides, dtype):
    """The array that was handed over."""
    return sharing.at(sharing.block_of_file(descriptor.detach(), size), offset, shape, strides, dtype)


def reduce_tensor(tensor):
    """Move a tensor to shared memory and say where it is; RuntimeError for one that autograd still needs."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support "
            "crossing process boundaries.  If you just want to transfer the data, call detach() on the tensor before "
            "serializing (e.g., putting it on the queue)."
        )
    copying.warn_of_hooks(tensor)
    sharing.share(tensor)
    place = handed_over(tensor._array)
    return rebuild_tensor, (type(tensor), place, tensor.dtype.name, tensor.requires_grad), tensor.__getstate__()


def rebuild_tensor(kind, place, dtype_name, requires_grad):
    """The tensor in the receiving process."""
    dtype = BY_NAME[dtype_name]
    tensor = wrap(found(*place, dtype.numpy), dtype)
    tensor.__class__ = kind
    return tensor.requires_grad_(requires_grad)


def reduce_storage(storage):
    """The same for a storage, whose tensors move with it."""
    storage.share_memory_()
    dtype = getattr(storage, "dtype", None)
    return rebuild_storage, (handed_over(storage.bytes()), None if dtype is None else dtype.name)


def rebuild_storage(place, dtype_name):
    """The storage in the receiving process."""
    line = found(*place, np.uint8)
    return UntypedStorage(line) if dtype_name is None else TypedStorage(line, BY_NAME[dtype_name])


def init_reductions():
    """Have the pickles of `multiprocessing` treat tensors and storages so."""
    for kind in (Tensor, Parameter):
        reduction.ForkingPickler.register(kind, reduce_tensor)
    for kind in (UntypedStorage, TypedStorage):
        reduction.ForkingPickler.register(kind, reduce_storage)
