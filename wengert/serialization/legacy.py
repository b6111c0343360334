"""The format from before PyTorch 1.6.

A row of pickles (a magic number, a version, what the machine was like, the object, the keys of its storages), then for
each storage its number of elements and its bytes.
"""

import io
import pickle
import struct
import sys

import numpy as np

from wengert.serialization.archive import corrupt, parsed, read_into, text
from wengert.serialization.pickling import Pickler
from wengert.storage import TypedStorage, UntypedStorage

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
COUNT = struct.Struct("<q")


# --- writing ----------------------------------------------------------------------------------------------------------


class LegacyPickler(Pickler):
    """References say one thing more: that they mean the whole of a storage."""

    def persistent_id(self, obj):
        reference = super().persistent_id(obj)
        return None if reference is None else (*reference, None)


def dumps(obj, protocol, references):
    """The pickle of the object alone, as bytes."""
    return LegacyPickler.dumps(obj, protocol, references)


def write(file, pickled, references, protocol):
    """Write the whole row; `pickled` is what `dumps` gave, `references` the storages it refers to."""
    machine = {"protocol_version": VERSION, "little_endian": sys.byteorder == "little",
               "type_sizes": {"short": 2, "int": 4, "long": 4}}  # fmt: skip
    for part in (MAGIC, VERSION, machine):
        file.write(pickle.dumps(part, protocol))
    file.write(pickled)
    keys = sorted(references.roots)
    file.write(pickle.dumps(keys, protocol))
    for key in keys:
        line = references.roots[key]
        file.write(COUNT.pack(line.size // references.itemsizes[key]))
        file.write(memoryview(line))


# --- reading ----------------------------------------------------------------------------------------------------------


class Storages:
    """Memory for the storages that the object refers to, to be filled afterwards.

    Args:
        available: how many bytes the file still has; a file that announces more is refused before memory is asked for.
        restore: brings a storage to its place.
    """

    def __init__(self, available, restore):
        self.available, self.restore = available, restore
        self.memory, self.itemsize, self.views = {}, {}, {}

    def persistent_load(self, reference):
        """The storage that a reference means."""
        if isinstance(reference, tuple) and reference and text(reference[0]) == "module":
            return self.module(reference)
        dtype, key, location, count = parsed(reference)
        if key not in self.memory:
            size = count * dtype.itemsize
            self.available -= size
            if self.available < 0:
                raise corrupt(f"storage {key!r} announces more bytes than the file has")
            storage = self.restore(UntypedStorage(np.empty(size, np.uint8)), location)
            self.memory[key], self.itemsize[key] = storage.bytes(), dtype.itemsize
        memory = self.memory[key]
        if memory.nbytes != count * dtype.itemsize:
            raise corrupt(f"storage {key!r} is announced in two sizes")
        view = reference[5] if len(reference) > 5 else None
        if view is None:
            return TypedStorage(memory, dtype)
        _, offset, size = view
        return TypedStorage(memory[offset * dtype.itemsize : (offset + size) * dtype.itemsize], dtype)

    @staticmethod
    def module(reference):
        """A class of modules, of which PyTorch also wrote the source."""
        if len(reference) < 2 or not isinstance(reference[1], type):
            raise pickle.UnpicklingError("a reference to a module that is none")
        return reference[1]

    def fill(self, file, keys):
        """Read the bytes of all storages, in the order of `keys`."""
        if not isinstance(keys, list) or sorted(map(text, keys)) != sorted(self.memory):
            raise corrupt("it lists other storages than it uses")
        for key in map(text, keys):
            memory = self.memory[key]
            head = file.read(COUNT.size)
            if len(head) < COUNT.size or COUNT.unpack(head)[0] * self.itemsize[key] != memory.nbytes:
                raise corrupt(f"storage {key!r} has another size than announced")
            read_into(file, memoryview(memory), key)


def load(file, restore, unpickle):
    """What an open file holds; ``unpickle(file, persistent_load)`` reads one pickle of the row.

    Raises RuntimeError, pickle.UnpicklingError, EOFError for other files.
    """
    start = file.tell()
    if file.read(1) == b"":
        raise EOFError("Ran out of input")
    available = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    if unpickle(file, no_storage) != MAGIC:
        raise RuntimeError("Invalid magic number; corrupt file?")
    version = unpickle(file, no_storage)
    if version != VERSION:
        raise RuntimeError(f"Invalid protocol version: {version!r:.40}")
    machine = unpickle(file, no_storage)
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise NotImplementedError("torch.load: a file of the format before PyTorch 1.6 from a big-endian machine")
    storages = Storages(available, restore)
    result = unpickle(file, storages.persistent_load)
    storages.fill(file, unpickle(file, no_storage))
    return result


def no_storage(reference):
    """No storage can be referred to where none can be."""
    raise pickle.UnpicklingError("a reference to a storage in the head of the file")
