"""Storages: the flat memory behind tensors, as bytes.

There is no storage object behind an array; one is made when asked for. Two are equal in `data_ptr()` iff their tensors
share memory.
"""

import sys

import numpy as np

from wengert.dtypes import BY_NAME, SCALAR_NAMES
from wengert.kernels.shape import address, extent_of, root_of, strided_anywhere, strided_window
from wengert.tensor import Tensor, wrap

LEGACY_DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
    "complex128",
)  # fmt: skip


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

    def __sizeof__(self):
        return object.__sizeof__(self) + self.nbytes()

    @classmethod
    def from_file(cls, filename, shared=False, nbytes=0):
        """The bytes of a file, mapped: read when they are used.

        Args:
            filename: its path; made, or made longer, if `shared` and shorter than `nbytes`.
            shared: whether writes reach the file.
            nbytes: how many.
        Raises:
            RuntimeError: the file is shorter than `nbytes`.
        """
        import mmap
        import os

        with open(os.open(filename, os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY), "r+b" if shared else "rb") as f:
            size = os.fstat(f.fileno()).st_size
            if size < nbytes:
                if not shared:
                    raise RuntimeError(f"file {filename} has {size} bytes where {nbytes} are wanted")
                os.ftruncate(f.fileno(), nbytes)
            access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
            memory = mmap.mmap(f.fileno(), nbytes, access=access) if nbytes else bytearray()
        storage = cls(np.ndarray((nbytes,), np.uint8, memory))
        storage.filename = filename
        return storage

    filename = None

    def is_shared(self):
        """Whether other processes may see this memory."""
        from wengert import sharing

        return sharing.block_under(self._root) is not None

    def share_memory_(self):
        """Move the memory, and every tensor on it, to where other processes can see it; returns this storage."""
        from wengert import sharing

        holder = wrap(self._root)
        sharing.share(holder)
        self._root = holder._array
        return self

    def untyped(self):
        """The storage as bytes: itself."""
        return self

    is_cuda = is_hpu = is_sparse = False
    is_sparse_csr = False

    def get_device(self):
        return -1

    def is_pinned(self, device=None):
        return False

    def resize_(self, size):
        """Refused: the memory of a NumPy array does not grow."""
        raise NotImplementedError("UntypedStorage.resize_: wengert's storages keep their size")

    def byteswap(self, dtype):
        """Turn the bytes of each element of `dtype` around."""
        self.line(dtype).byteswap(inplace=True)

    def __copy__(self):
        return self.clone()

    def __deepcopy__(self, memo):
        from wengert.copying import copy_of_memory

        if id(self) not in memo:
            memo[id(self)] = self._like(copy_of_memory(self._root, memo))
        return memo[id(self)]

    def _like(self, root):
        """A storage of this kind on other memory."""
        return UntypedStorage(root)

    def __reduce__(self):
        return type(self)._of_bytes, (self.bytes().tobytes(),)

    @classmethod
    def _of_bytes(cls, content):
        return cls(np.frombuffer(bytearray(content), np.uint8))

    def bytes(self):
        """The memory as a line of bytes, shared."""
        root = self._root
        if root.flags.c_contiguous:
            return root.reshape(-1).view(np.uint8)
        first = strided_window(root, (1,), (root.itemsize,)).view(np.uint8)
        return strided_anywhere(first, (self.nbytes(),), (1,))

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

    def __init__(self, content=0, dtype=None):
        from wengert.dtypes import default

        self.dtype = dtype = default.dtype if dtype is None else dtype
        if isinstance(content, int):
            content = np.zeros(content, dtype.numpy)
        elif not isinstance(content, np.ndarray):
            content = np.array(list(content), dtype.numpy)
        super().__init__(content)

    def __repr__(self):
        lines = "\n".join(f" {element}" for element in self.line(self.dtype)[:20].tolist())
        return f"{lines}\n[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {self.size()}]"

    def _like(self, root):
        return TypedStorage(root, self.dtype)

    def size(self):
        return self.nbytes() // self.dtype.itemsize

    def __len__(self):
        return self.size()

    def element_size(self):
        return self.dtype.itemsize

    def untyped(self):
        """The same memory as bytes."""
        return UntypedStorage(self._root)

    def numel(self):
        """The number of elements."""
        return self.size()

    def __reduce__(self):
        return TypedStorage._of, (self.bytes().tobytes(), self.dtype.name)

    @staticmethod
    def _of(content, dtype_name):
        return TypedStorage(np.frombuffer(bytearray(content), np.uint8), BY_NAME[dtype_name])

    def clone(self):
        return TypedStorage(self.bytes().copy(), self.dtype)

    def tolist(self):
        return self.line(self.dtype).tolist()

    def __iter__(self):
        return iter(self.tolist())

    def __getitem__(self, index):
        return self.line(self.dtype)[index].item()

    def __setitem__(self, index, value):
        self.line(self.dtype)[index] = value


class LegacyStorage(type):
    """The classes that storages had before there was one for all: ``torch.FloatStorage`` makes a `TypedStorage`."""

    def __call__(cls, content=0):
        if cls.dtype is None:
            raise RuntimeError("Only child classes of _LegacyStorage can be instantiated")
        return TypedStorage(content, cls.dtype)

    def __instancecheck__(cls, instance):
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype


class _LegacyStorage(metaclass=LegacyStorage):
    """What these classes share: storages on memory that is there already."""

    dtype = None

    @classmethod
    def from_buffer(cls, buffer, byte_order=None, count=-1, offset=0):
        """A storage with the elements of a buffer.

        Args:
            byte_order: "native", "little" or "big"; needed where an element has several bytes.
            count: how many elements (-1: all); offset: the bytes to leave out before.
        Raises:
            ValueError: the buffer is not a whole number of elements, or too short.
        """
        size = cls.dtype.itemsize
        if byte_order is None and size > 1:
            raise RuntimeError("function missing required argument 'byte_order' (pos 2)")
        if byte_order not in (None, "native", "little", "big"):
            raise ValueError(f"invalid byte_order '{byte_order}' (expected 'big', 'little', or 'native')")
        content = np.frombuffer(buffer, np.uint8)[offset:]
        if count < 0 and content.size % size:
            raise ValueError(f"buffer size ({content.size}) must be a multiple of element size ({size})")
        if count * size > content.size:
            raise ValueError(f"buffer has only {content.size // size} elements after offset {offset}, but specified a "
                             f"size of {count}")  # fmt: skip
        content = content if count < 0 else content[: count * size]
        swapped = byte_order not in (None, "native", sys.byteorder)
        part = cls.dtype.itemsize // 2 if cls.dtype.is_complex else size
        content = content.reshape(-1, part)[:, ::-1].reshape(-1) if swapped else content
        if cls.dtype.name == "bool":
            content = content.astype(bool)
        return TypedStorage(content.copy().view(np.uint8), cls.dtype)

    @classmethod
    def from_file(cls, filename, shared=False, size=0):
        """`UntypedStorage.from_file` of so many elements."""
        return TypedStorage(UntypedStorage.from_file(filename, shared, size * cls.dtype.itemsize)._root, cls.dtype)


LEGACY = {
    name: LegacyStorage(name, (_LegacyStorage,), {"dtype": dtype, "__module__": "wengert"})
    for dtype, scalar in SCALAR_NAMES.items()
    if dtype.name in LEGACY_DTYPES
    for name in (f"{scalar}Storage",)
}
globals().update(LEGACY)


def untyped_storage(self):
    """The memory behind this tensor, shared with all its aliases."""
    return UntypedStorage(root_of(self._array))


def is_shared(self):
    """Whether this tensor's memory is one that other processes may see: see `share_memory_`."""
    from wengert import sharing

    return sharing.block_under(self._array) is not None


def share_memory_(self):
    """Move this tensor's memory, with all its aliases, to where other processes can see it; returns the tensor.

    Processes that are forked afterwards, or get the tensor through a queue of `torch.multiprocessing` or as an
    argument, see each other's writes. NumPy arrays on the old memory stay there.
    """
    from wengert import sharing

    sharing.share(self)
    return self


def storage(self):
    """The memory behind this tensor, counted in elements."""
    return TypedStorage(root_of(self._array), self.dtype)


Tensor.untyped_storage, Tensor.storage = untyped_storage, storage
Tensor.is_shared, Tensor.share_memory_ = is_shared, share_memory_


def tensor_of(storage, dtype):
    """A one-dimensional tensor on the memory of a storage."""
    return wrap(storage.line(dtype), dtype)


def from_file(filename, shared=None, size=0, *, dtype=None, layout=None, device=None, pin_memory=False):
    """A tensor (size,) on the memory of a file.

    Args:
        shared: whether writes reach the file, which then grows to hold `size` elements; else they stay in this process.
        dtype: of the elements; the default dtype by default.

    Raises:
        RuntimeError: the file holds fewer elements and is not shared.
    """
    from wengert.dtypes import default
    from wengert.ops.creation import check_device

    check_device(device)
    if pin_memory:
        raise NotImplementedError("from_file(): pin_memory=True is not supported: memory is pinned for other devices")
    dtype = default.dtype if dtype is None else dtype
    storage = UntypedStorage.from_file(filename, bool(shared), size * dtype.itemsize)
    return wrap(storage.line(dtype), dtype)
