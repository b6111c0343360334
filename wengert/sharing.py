"""Memory that several processes see: what `share_memory_` moves a tensor to, and what queues pass on.

A block of shared memory is a file that lives in memory only, mapped. A forked process has the mapping; to any other
process the file's descriptor is handed, and the same file becomes the same block there, however often it comes.
"""

import gc
import mmap
import os
import sys
import tempfile
import weakref

import numpy as np

from wengert.autograd.graph import AccumulateGrad
from wengert.kernels.shape import address, root_of
from wengert.storage import UntypedStorage
from wengert.tensor import Tensor

_blocks = weakref.WeakValueDictionary()  # by device and number of the file


class SharedBlock(mmap.mmap):
    """Shared memory, for as long as an array lies in it; `fd` is its file's descriptor."""

    def __new__(cls, fd, size):
        block = super().__new__(cls, fd, max(size, 1))
        block.fd = fd
        block._line = None
        weakref.finalize(block, os.close, fd)
        _blocks[identity(fd)] = block
        return block

    def line(self):
        """The memory as one array of bytes: the root of all arrays in it, as long as there are any."""
        line = self._line() if self._line is not None else None
        if line is None:
            line = np.ndarray((len(self),), np.uint8, self)
            self._line = weakref.ref(line)
        return line


def identity(fd):
    """What tells one file from another."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def new_block(size):
    """A block of `size` zero bytes."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("wengert-shared")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, max(size, 1))
    return SharedBlock(fd, size)


def block_of_file(fd, size):
    """The block of a file that another process has handed over; takes `fd` over."""
    known = _blocks.get(identity(fd))
    if known is None:
        return SharedBlock(fd, size)
    os.close(fd)
    return known


def block_under(array):
    """The block in which an array lies; None if its memory is this process's own."""
    base = root_of(array).base
    return base if isinstance(base, SharedBlock) else None


def at(block, offset, shape, strides, dtype):
    """An array in a block; for one without elements the offset doesn't matter."""
    return np.ndarray(shape, dtype, block.line(), offset if 0 not in shape else 0, strides)


def share(tensor):
    """Move the memory of `tensor` to shared memory; its views and other aliases move with it."""
    root = root_of(tensor._array)
    if isinstance(root.base, SharedBlock):
        return
    line = UntypedStorage(root).bytes()
    block = new_block(line.size)
    memory = block.line()
    memory[: line.size] = line
    for alias in aliases(tensor, root):
        move(alias, block, address(root))


def aliases(tensor, root):
    """All tensors on the memory of `root`. Looking for them takes a while, so only where something refers to it."""
    array = tensor._array
    references = sys.getrefcount(array) - 2 - 1 - (held := node_holds(tensor, array))
    if array is not root:
        references += sys.getrefcount(root) - 5
    else:
        references -= 2  # the variable `root` here and in `share`
    if references <= 0 and held <= 1:
        return [tensor]
    found = [each for each in gc.get_objects() if issubclass(type(each), Tensor) and root_of(each._array) is root]
    return found if any(each is tensor for each in found) else [tensor, *found]


def node_holds(tensor, array):
    """1 if the leaf's node refers to the array too, else 0."""
    return int(type(tensor._node) is AccumulateGrad and tensor._node._array is array)


def move(tensor, block, start):
    """Let a tensor look into `block` as it looked into the memory that began at the address `start`."""
    array = tensor._array
    offset = address(array) - start if array.size else 0
    tensor._array = at(block, offset, array.shape, array.strides, array.dtype)
    if node_holds(tensor, array):
        tensor._node._array = tensor._array
