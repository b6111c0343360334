"""Channels: a pipe between two processes for objects full of arrays.

An object travels as a pickle; the bytes of its arrays travel beside it, never through the pickler. Where the system has
files that live in memory (Linux), many bytes go into one of those, whose descriptor the pipe passes on: the sender need
not wait until the receiver reads, and nothing is left behind if either dies. Elsewhere they follow through the pipe.
"""

import copyreg
import io
import os
import pickle
from multiprocessing import reduction

import numpy as np

from wengert.copying import rebuild
from wengert.kernels.shape import root_of
from wengert.tensor import Parameter, Tensor

BESIDE = 1024  # an array of fewer bytes stays in the pickle
IN_FILE = 65536  # fewer bytes than this, all together, are sent faster through the pipe


def reduce_window(tensor):
    """How a tensor is taken apart: as for any pickle, but a part of a large memory doesn't bring all of it along."""
    if 2 * tensor._array.nbytes >= root_of(tensor._array).nbytes:
        return tensor.__reduce_ex__(5)
    alone = tensor._array.copy(order="K")
    line = alone.reshape(-1, order="A").view(np.uint8)
    place = (line, 0, alone.shape, alone.strides)
    return rebuild, (type(tensor), *place, tensor.dtype.name, tensor.requires_grad), tensor.__getstate__()


class Pickler(pickle.Pickler):
    """Pickles all but the bytes of arrays, which it collects in `arrays`."""

    def __init__(self, file):
        super().__init__(file, protocol=5, buffer_callback=self.set_aside)
        self.arrays = []
        self.dispatch_table = {**copyreg.dispatch_table, Tensor: reduce_window, Parameter: reduce_window}

    def set_aside(self, buffer):
        memory = buffer.raw()
        if memory.nbytes < BESIDE:
            return True  # goes into the pickle
        self.arrays.append(memory)
        return False


class Channel:
    """One end of a two-way pipe.

    Args:
        connection: an end of a `multiprocessing.Pipe`.
    """

    def __init__(self, connection):
        self.connection = connection

    def send(self, obj):
        """Send `obj`; raises what pickling raises before anything is sent, OSError where nobody listens any more."""
        text = io.BytesIO()
        pickler = Pickler(text)
        pickler.dump(obj)
        arrays = pickler.arrays
        sizes = [memory.nbytes for memory in arrays]
        file = file_with(arrays) if sum(sizes) >= IN_FILE and hasattr(os, "memfd_create") else None
        try:
            self.connection.send_bytes(pickle.dumps((text.getvalue(), sizes, file is not None)))
            if file is not None:
                reduction.send_handle(self.connection, file.fileno(), None)
            else:
                for memory in arrays:
                    self.connection.send_bytes(memory)
        finally:
            if file is not None:
                file.close()

    def receive(self):
        """The next object; waits for it. Raises EOFError or OSError where the other end is gone."""
        text, sizes, in_file = pickle.loads(self.connection.recv_bytes())
        memory = [np.empty(size, np.uint8) for size in sizes]
        if in_file:
            with open(reduction.recv_handle(self.connection), "rb", buffering=0) as file:
                file.seek(0)
                for array in memory:
                    read_whole(file, memoryview(array))
        else:
            for array in memory:
                self.connection.recv_bytes_into(array)
        return pickle.loads(text, buffers=memory)

    def close(self):
        """Close this end; the other end sees that."""
        self.connection.close()


def file_with(arrays):
    """A file in memory that holds the bytes of `arrays`, one after the other."""
    file = io.FileIO(os.memfd_create("wengert-batch"), "w+")
    try:
        for memory in arrays:
            rest = memory
            while rest.nbytes:
                rest = rest[file.write(rest) :]
    except BaseException:
        file.close()
        raise
    return file


def read_whole(file, memory):
    """Fill `memory` from `file`, however little the system gives at once; raises EOFError where it ends early."""
    while memory.nbytes:
        count = file.readinto(memory)
        if not count:
            raise EOFError("the file that came with a batch ends before the batch does")
        memory = memory[count:]
