"""The zip archive around a checkpoint: records stored as they are, each beginning at a multiple of 64 bytes.

A file may come from anywhere, so nothing in it is believed before it is checked against the size of the file: a record
that claims more bytes than there are is refused before memory for it is asked for, and so are compressed records, which
PyTorch never writes and which could unfold into any size.
"""

import contextlib
import gzip
import io
import mmap
import os
import pickle
import struct
import sys
import zipfile
import zlib

import numpy as np

from wengert import dtypes
from wengert.serialization.unpickling import StorageType
from wengert.storage import TypedStorage, UntypedStorage
from wengert.tensor import wrap

ALIGNMENT = 64
LOCAL_HEADER = 30  # bytes, before the name and the extra field


class checks:
    """What is compared beside sizes."""

    crc32 = True


# --- writing ----------------------------------------------------------------------------------------------------------


class Forward:
    """A file written from front to back: one that compresses can't go back, though it says that it is seekable."""

    def __init__(self, file):
        self.write, self.flush = file.write, file.flush


def write(file, name, text, roots, byteorder):
    """Write an archive.

    Args:
        file: open for writing bytes; need not be seekable.
        name: the folder in the archive that holds all records.
        text: the pickle.
        roots: the bytes of each storage, by key.
        byteorder: "little" or "big", or None to leave the record out.
    """
    target = Forward(file) if isinstance(file, gzip.GzipFile) else file
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:

        def record(path, content):
            info = zipfile.ZipInfo(f"{name}/{path}")
            info.extra = padding(archive.start_dir + LOCAL_HEADER + len(info.filename.encode()), len(content))
            archive.writestr(info, content)

        record("data.pkl", text)
        if byteorder is not None:
            record("byteorder", byteorder)
        for key, line in roots.items():
            record(f"data/{key}", line)
        record("version", "3\n")


def padding(end_of_name, size):
    """An extra field after which the bytes of a record begin at a multiple of the alignment."""
    if size + 0xFFFF > zipfile.ZIP64_LIMIT:
        end_of_name += 20  # zipfile puts a field of its own in front
    return b"FB" + struct.pack("<H", rest := -(end_of_name + 4) % ALIGNMENT) + bytes(rest)


# --- reading ----------------------------------------------------------------------------------------------------------


def is_zip(file):
    """Whether a zip archive begins where `file` is; leaves it there."""
    start = file.tell()
    found = file.read(4) == b"PK\x03\x04"
    file.seek(start)
    return found


def corrupt(what):
    """The error for an archive that can't be true."""
    return RuntimeError(
        f"PytorchStreamReader failed reading zip archive: {what}. The file is corrupt: it was not saved or transferred "
        "whole, or something else wrote to it."
    )


class Archive:
    """The records of a checkpoint in a seekable file; raises RuntimeError where the archive contradicts itself."""

    def __init__(self, file):
        self.file = file
        self.end = file.seek(0, io.SEEK_END)
        try:
            self.zip = zipfile.ZipFile(file)
        except Exception as error:  # zipfile takes numbers and names from the file as they come
            raise corrupt(f"failed finding central directory ({error})") from None
        self.records = {info.filename: info for info in self.zip.infolist()}
        if sum(info.file_size for info in self.records.values()) > self.end:
            raise corrupt("its records are larger than the file")
        self.folder = next(iter(self.records), "").partition("/")[0]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.zip.close()

    def is_torchscript(self):
        """Whether it holds a program of TorchScript."""
        return f"{self.folder}/constants.pkl" in self.records

    def check_is_checkpoint(self, weights_only):
        """Raise RuntimeError for what `torch.save` didn't write."""
        if self.is_torchscript():
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``."
                if weights_only
                else "torch.load: the file holds a TorchScript program, which wengert can't run"
            )
        if f"{self.folder}/data.pkl" not in self.records:
            raise RuntimeError("torch.load: the archive holds no data.pkl; it was not written by torch.save")

    def place(self, path):
        """(offset of its bytes in the file, size, checksum) of a record."""
        info = self.records.get(f"{self.folder}/{path}")
        if info is None:
            raise corrupt(f"file not found: {self.folder}/{path}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise corrupt(f"record {path} is compressed or encrypted, which torch.save never does")
        with contextlib.suppress(OSError, ValueError, struct.error):
            self.file.seek(info.header_offset)
            header = self.file.read(LOCAL_HEADER)
            signature, name_size, extra_size = header[:4], *struct.unpack("<HH", header[26:])
            begin = info.header_offset + LOCAL_HEADER + name_size + extra_size
            if signature == b"PK\x03\x04" and begin + info.file_size <= self.end:
                return begin, info.file_size, info.CRC
        raise corrupt(f"record {path} is not where the directory says")

    def bytes_of(self, path):
        """The bytes of a record, in memory of their own."""
        begin, size, checksum = self.place(path)
        memory = np.empty(size, np.uint8)
        self.file.seek(begin)
        read_into(self.file, memoryview(memory), path)
        if checks.crc32 and zlib.crc32(memory) != checksum:
            raise corrupt(f"record {path} does not have the checksum that was written for it")
        return memory

    def pickle(self):
        """The pickle, open for reading."""
        return io.BytesIO(self.bytes_of("data.pkl").tobytes())

    def byteorder(self):
        """ "little" or "big", or None if the archive doesn't say."""
        if f"{self.folder}/byteorder" not in self.records:
            return None
        order = self.bytes_of("byteorder").tobytes().decode("latin-1")
        if order not in ("little", "big"):
            raise ValueError(f"Unknown endianness type: {order}")
        return order


def read_into(file, memory, path):
    """Fill `memory` from `file`; raises RuntimeError where the file ends early."""
    while memory.nbytes:
        if hasattr(file, "readinto"):
            count = file.readinto(memory)
        else:
            chunk = file.read(memory.nbytes)
            count = len(chunk)
            memory[:count] = chunk
        if not count:
            raise corrupt(f"record {path} ends early")
        memory = memory[count:]


class PyTorchFileReader:
    """The records of a checkpoint one by one, as libraries read them that load large files piece by piece.

    Args:
        file: a path, or a seekable file open for reading.
    """

    def __init__(self, file):
        is_path = isinstance(file, str | os.PathLike)
        self.archive = Archive(open(file, "rb") if is_path else file)  # noqa: SIM115 - open as long as the reader is

    def get_all_records(self):
        """The names of all records."""
        return [name.partition("/")[2] for name in self.archive.records]

    def has_record(self, name):
        """Whether there is a record of that name."""
        return f"{self.archive.folder}/{name}" in self.archive.records

    def get_record(self, name):
        """A record's bytes."""
        return self.archive.bytes_of(name).tobytes()

    def get_record_offset(self, name):
        """Where in the file a record's bytes begin."""
        return self.archive.place(name)[0]

    def get_storage_from_record(self, name, numel, dtype):
        """A record as a tensor of `numel` elements of `dtype`; UntypedStorage stands for bytes."""
        element = dtype if isinstance(dtype, dtypes.dtype) else dtypes.uint8
        line = self.archive.bytes_of(name)
        if line.size != numel * element.itemsize:
            raise corrupt(f"record {name} has {line.size} bytes where {numel * element.itemsize} are wanted")
        return wrap(line.view(element.numpy), element)


class Storages:
    """Gives the storages that a pickle refers to.

    Args:
        archive: where they are.
        restore: ``function(storage, location)``, which brings one to its place.
        byteorder: that of an archive which doesn't say its own.
        path: of the file, and
        mmap_flags: how to map it, to leave the storages on the disk; None reads them.
    """

    def __init__(self, archive, restore, byteorder, path, mmap_flags):
        self.archive, self.restore = archive, restore
        self.swapped = (archive.byteorder() or byteorder) != sys.byteorder
        self.mapped = None if mmap_flags is None else mapped(path, mmap_flags)
        self.loaded = {}

    def persistent_load(self, reference):
        """The storage that a reference in the pickle means; raises pickle's or our errors for what is none."""
        dtype, key, location, count = parsed(reference)
        if key not in self.loaded:
            self.loaded[key] = self.read(dtype, key, location)
        memory = self.loaded[key]
        if memory.nbytes != count * dtype.itemsize:
            raise corrupt(f"storage {key!r} has {memory.nbytes} bytes where {count * dtype.itemsize} are announced")
        return TypedStorage(memory, dtype)

    def read(self, dtype, key, location):
        if self.mapped is None:
            memory = self.archive.bytes_of(f"data/{key}")
        else:
            begin, size, _ = self.archive.place(f"data/{key}")
            memory = np.frombuffer(self.mapped, np.uint8, size, begin)
        if self.swapped and dtype.itemsize > 1:
            memory = memory.view(dtype.numpy).byteswap().view(np.uint8)
        return self.restore(UntypedStorage(memory), location).bytes()


def mapped(path, flags):
    """A file as memory."""
    if flags == 1:  # MAP_SHARED: writes reach the file
        with open(path, "r+b") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE)
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def parsed(reference):
    """(dtype, key, location, number of elements) of a reference to a storage, checked."""
    if not isinstance(reference, tuple) or len(reference) < 5 or text(reference[0]) != "storage":
        raise pickle.UnpicklingError(f"Only persistent_load of storage is allowed, but got {reference!r:.80}")
    kind, key, location, count = reference[1:5]
    dtype = dtypes.uint8 if kind is UntypedStorage else kind.dtype if isinstance(kind, StorageType) else None
    if dtype is None or not isinstance(count, int) or count < 0:
        raise pickle.UnpicklingError(f"a reference to something that is no storage: {reference!r:.80}")
    return dtype, text(key), text(location), count


def text(value):
    """Text, also where Python 2 wrote bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    return value if isinstance(value, str) else str(value)
