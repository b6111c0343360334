"""save and load, in PyTorch's zip format both ways.

A file is an uncompressed zip archive: `data.pkl`, a pickle in which each storage is a reference, and one entry of raw
    bytes
for each storage. Tensors that share memory share it again after loading. Loading runs nothing from the file: the
unpickler
admits only the classes listed here, those added with `add_safe_globals`, or, with ``weights_only=False``, anything.
"""

import importlib
import io
import os
import pickle
import tempfile
import zipfile
from collections import OrderedDict

import numpy as np

from wengert import dtypes
from wengert.devices import check as check_device
from wengert.devices import device as device_class
from wengert.kernels import shape as kernels
from wengert.size import Size
from wengert.storage import UntypedStorage
from wengert.tensor import Parameter, Tensor, wrap

STORAGES = {
    f"{dtypes.SCALAR_NAMES[t]}Storage": t
    for t in dtypes.ALL
    if t not in (dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.float8_e4m3fn, dtypes.float8_e5m2)
}
STORAGE_NAMES = {t: name for name, t in STORAGES.items()}
_safe_globals: set = set()


# --- writing ----------------------------------------------------------------------------------------------------------


class Global:
    """A name in the file that stands for PyTorch's function or class, whatever it is called here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise TypeError(f"{self.module}.{self.name} is a name, to be written only")


class StorageReference:
    """What stands in the pickle for the bytes of a storage."""

    def __init__(self, key, dtype, count):
        self.key, self.dtype, self.count = key, dtype, count


class Pickler(pickle._Pickler):
    """Writes tensors as PyTorch's rebuilding calls, and our classes under PyTorch's module names."""

    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.roots = {}  # address of a storage -> (its key, its bytes)

    def persistent_id(self, obj):
        if isinstance(obj, StorageReference):
            return ("storage", Global("torch", STORAGE_NAMES[obj.dtype]), obj.key, "cpu", obj.count)
        return None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, dtypes.dtype):
            self.write(f"ctorch\n{obj.name}\n".encode())
        elif isinstance(obj, Tensor) and self.memo.get(id(obj)) is None:
            self.save_reduce(*self.rebuilding(obj), obj=obj)
        elif isinstance(obj, Size):
            self.save_reduce(Global("torch", "Size"), (tuple(obj),), obj=obj)
        elif isinstance(obj, device_class):
            self.save_reduce(Global("torch", "device"), (str(obj),), obj=obj)
        else:
            super().save(obj, save_persistent_id)

    def save_global(self, obj, name=None):
        module = getattr(obj, "__module__", None) or ""
        if module == "wengert" or module.startswith("wengert."):
            self.write(f"ctorch{module[7:]}\n{name or obj.__qualname__}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    def rebuilding(self, tensor):
        if isinstance(tensor, Parameter):
            return Global("torch._utils", "_rebuild_parameter"), (tensor.data, tensor.requires_grad, OrderedDict())
        dtype = tensor.dtype
        if dtype not in STORAGE_NAMES:
            raise NotImplementedError(f"torch.save: wengert can't write tensors of {dtype} yet")
        root = kernels.root_of(tensor._array)
        key, line = self.roots.setdefault(kernels.address(root), (str(len(self.roots)), UntypedStorage(root).bytes()))
        offset = (kernels.address(tensor._array) - kernels.address(root)) // dtype.itemsize if tensor.numel() else 0
        reference = StorageReference(key, dtype, line.size // dtype.itemsize)
        strides = tuple(s // dtype.itemsize for s in tensor._array.strides)
        # As in PyTorch, a tensor that was computed loads as a leaf.
        arguments = (reference, offset, tuple(tensor._array.shape), strides, tensor.requires_grad, OrderedDict())
        return Global("torch._utils", "_rebuild_tensor_v2"), arguments


# The Python pickler looks up what to do by exact class; classes and functions go through `save_global` above.
Pickler.dispatch = dict(pickle._Pickler.dispatch)
Pickler.dispatch[type(lambda: None)] = Pickler.save_global


def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Write `obj` (tensors, modules, containers) to `f`, a path or a file open for writing bytes.

    A path is written whole or not at all: to a file beside it first, which then takes its place.
    Raises NotImplementedError for another pickle module or the format before PyTorch 1.6.
    """
    if pickle_module not in (None, pickle) or not _use_new_zipfile_serialization:
        raise NotImplementedError("torch.save: wengert writes with its own pickler, in the zip format only")
    if pickle_protocol != 2:
        raise NotImplementedError(f"torch.save: pickle_protocol={pickle_protocol}; the format is protocol 2")
    text = io.BytesIO()
    pickler = Pickler(text)
    pickler.dump(obj)
    if hasattr(f, "write"):
        write_archive(f, text.getvalue(), pickler.roots, "archive")
        return
    path = os.fspath(f)
    name = os.path.splitext(os.path.basename(path))[0] or "archive"
    handle, beside = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f".{name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            write_archive(file, text.getvalue(), pickler.roots, name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def write_archive(file, text, roots, name):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{name}/data.pkl", text)
        archive.writestr(f"{name}/byteorder", "little")
        for key, line in roots.values():
            archive.writestr(f"{name}/data/{key}", line.tobytes())
        archive.writestr(f"{name}/version", "3\n")


# --- reading ----------------------------------------------------------------------------------------------------------


def rebuild_tensor(line, offset, size, stride, requires_grad, hooks, metadata=None):
    """A tensor on a line of elements, as the file describes it; RuntimeError if it reaches beyond the line."""
    array, _ = kernels.as_strided(line, size, stride, offset)
    tensor = wrap(array)
    return tensor.requires_grad_() if requires_grad else tensor


def rebuild_parameter(data, requires_grad, hooks):
    """A parameter around a tensor."""
    return Parameter(data, requires_grad)


KNOWN = {
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch", "Size"): Size,
    ("torch", "device"): device_class,
    ("torch", "Tensor"): Tensor,
    ("torch.nn.parameter", "Parameter"): Parameter,
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch", t.name): t for t in dtypes.ALL},
    **{("torch", name): t for name, t in STORAGES.items()},
}


class Unpickler(pickle.Unpickler):
    """Reads the pickle of a file; see the module's docstring for what it admits."""

    def __init__(self, file, lines, weights_only):
        super().__init__(file, encoding="utf-8")
        self.lines, self.weights_only = lines, weights_only

    def find_class(self, module, name):
        found = KNOWN.get((module, name))
        if found is not None:
            return found
        ours = f"wengert{module[5:]}" if module == "torch" or module.startswith("torch.") else module
        for value in _safe_globals:
            if (value.__module__, value.__qualname__) in ((module, name), (ours, name)):
                return value
        if self.weights_only:
            raise pickle.UnpicklingError(
                "Weights only load failed. This file can still be loaded, to do so you have two options, do those "
                "steps only "
                f"if you trust the source of the checkpoint: re-run with weights_only=False, or allow {module}.{name} "
                "with "
                f"torch.serialization.add_safe_globals. Unsupported global: GLOBAL {module}.{name} was not an allowed "
                "global by default."
            )
        if ours != module:
            return getattr(importlib.import_module(ours), name)
        return super().find_class(module, name)

    def persistent_load(self, reference):
        kind, dtype, key, _, count = reference
        if kind != "storage" or not isinstance(dtype, dtypes.dtype):
            raise pickle.UnpicklingError(f"a reference to something that is no storage: {kind!r}")
        return self.lines(key, dtype, count)


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """What `save`, here or PyTorch's, wrote to `f` (a path or a file open for reading bytes).

    Args:
        map_location: None or the CPU, however it is said; tensors of other devices come to the CPU too.
        weights_only: admit tensors, plain containers and listed classes only (the default); False admits any class,
            which may run code from the file.
    Raises:
        RuntimeError: the file is truncated, corrupt, or of the format before PyTorch 1.6.
        pickle.UnpicklingError: it holds a class that is not admitted.
        NotImplementedError: `mmap`, another pickle module.
    """
    if mmap:
        raise NotImplementedError("torch.load: wengert has no mmap=True yet")
    if pickle_module not in (None, pickle) or pickle_load_args:
        raise NotImplementedError("torch.load: wengert reads with its own unpickler, without further arguments")
    if not callable(map_location) and not isinstance(map_location, dict):
        check_device(map_location)
    try:
        archive = zipfile.ZipFile(f if hasattr(f, "read") else os.fspath(f))
    except zipfile.BadZipFile as error:
        raise RuntimeError(
            f"torch.load: not a zip archive, or a truncated one ({error}). Files older than PyTorch 1.6 must be saved "
            "anew "
            "by PyTorch."
        ) from None
    with archive:
        return read_archive(archive, weights_only is not False)


def read_archive(archive, weights_only):
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise RuntimeError("torch.load: the archive holds no data.pkl; it was not written by torch.save")
    prefix = names[0][: -len("data.pkl")]
    memory = {}

    def bytes_of(key):
        try:
            info = archive.getinfo(f"{prefix}data/{key}")
        except KeyError:
            raise RuntimeError(f"torch.load: storage {key!r} is missing from the archive") from None
        if info.compress_type != zipfile.ZIP_STORED:
            raise RuntimeError(f"torch.load: storage {key!r} is compressed, which torch.save never does")
        return np.frombuffer(bytearray(archive.read(info)), np.uint8)

    def lines(key, dtype, count):
        if key not in memory:
            memory[key] = bytes_of(key)
        line = memory[key]
        if line.size != count * dtype.itemsize:
            raise RuntimeError(
                f"torch.load: storage {key!r} has {line.size} bytes where {count * dtype.itemsize} are announced"
            )
        return line.view(dtype.numpy)

    try:
        return Unpickler(io.BytesIO(archive.read(names[0])), lines, weights_only).load()
    except zipfile.BadZipFile as error:
        raise RuntimeError(f"torch.load: the archive is corrupt: {error}") from None


def add_safe_globals(safe_globals):
    """Admit these classes and functions when loading with ``weights_only=True``."""
    _safe_globals.update(safe_globals)


def get_safe_globals():
    """The classes and functions admitted in addition."""
    return list(_safe_globals)


def clear_safe_globals():
    """Admit none in addition."""
    _safe_globals.clear()
