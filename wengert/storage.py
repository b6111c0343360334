"""Storages: the flat memory behind tensors, as bytes.

There is no storage object behind an array; one is made when asked for. Two are equal in `data_ptr()` iff their tensors
share memory.
"""

import numpy as np

from wengert.kernels.shape import address, extent_of, root_of, strided_window
from wengert.tensor import Tensor, wrap


class UntypedStorage:
    """The bytes of the memory that a tensor looks at, from the storage's first byte to its last."""

    def __init__(self, size=0):
        if isinstance(size, np.ndarray):
            self._root = size
        else:
            self._root = np.zeros(int(size), np.uint8)

    def data_ptr(self):
        """The address of the first byte; 0 for an empty storage."""
        return address(self._root) if self._root.size else 0

    def nbytes(self):
        """The number of bytes."""
        return extent_of(self._root)

    size = nbytes

    def __len__(self):
        return self.nbytes()

    @property
    def device(self):
        from wengert.devices import cpu

        return cpu

    def element_size(self):
        return 1

    def is_shared(self):
        return False

    def bytes(self):
        """The memory as a line of bytes, shared."""
        root = self._root
        if root.flags.c_contiguous:
            return root.reshape(-1).view(np.uint8)
        first = strided_window(root, (1,), (root.itemsize,)).view(np.uint8)
        return strided_window(first, (self.nbytes(),), (1,))

    def line(self, dtype):
        """The memory as a line of elements of `dtype`, shared."""
        return self.bytes().view(dtype.numpy)

    def __getitem__(self, index):
        item = self.bytes()[index]
        return UntypedStorage(item) if isinstance(index, slice) else int(item)

    def __setitem__(self, index, value):
        self.bytes()[index] = value._root if isinstance(value, UntypedStorage) else value

    def __iter__(self):
        return iter(self.bytes().tolist())

    def tolist(self):
        """The bytes as Python ints."""
        return self.bytes().tolist()

    def clone(self):
        """A copy with memory of its own."""
        return UntypedStorage(self.bytes().copy())

    def copy_(self, source, non_blocking=False):
        """Overwrite the bytes with those of `source`; returns this storage."""
        self.bytes()[...] = source.bytes()
        return self

    def fill_(self, value):
        """Overwrite every byte; returns this storage."""
        self.bytes()[...] = value
        return self

    def cpu(self):
        return self

    def _weak_ref(self):
        return self.data_ptr()

    def __eq__(self, other):
        return (
            isinstance(other, UntypedStorage)
            and self.data_ptr() == other.data_ptr()
            and self.nbytes() == other.nbytes()
        )

    __hash__ = object.__hash__

    def __repr__(self):
        lines = "\n".join(f" {byte}" for byte in self.bytes()[:20].tolist())
        return f"{lines}\n[torch.storage.UntypedStorage(device=cpu) of size {self.nbytes()}]"


class TypedStorage(UntypedStorage):
    """A storage counted in elements of a dtype; what `tensor.storage()` gives."""

    def __init__(self, root, dtype):
        super().__init__(root)
        self.dtype = dtype

    def size(self):
        return self.nbytes() // self.dtype.itemsize

    def __len__(self):
        return self.size()

    def element_size(self):
        return self.dtype.itemsize

    def untyped(self):
        return UntypedStorage(self._root)

    def tolist(self):
        return self.line(self.dtype).tolist()

    def __iter__(self):
        return iter(self.tolist())

    def __getitem__(self, index):
        return self.line(self.dtype)[index].item()

    def __setitem__(self, index, value):
        self.line(self.dtype)[index] = value


def untyped_storage(self):
    """The memory behind this tensor, shared with all its aliases."""
    return UntypedStorage(root_of(self._array))


def storage(self):
    """The memory behind this tensor, counted in elements."""
    return TypedStorage(root_of(self._array), self.dtype)


Tensor.untyped_storage, Tensor.storage = untyped_storage, storage


def tensor_of(storage, dtype):
    """A one-dimensional tensor on the memory of a storage."""
    return wrap(storage.line(dtype), dtype)
