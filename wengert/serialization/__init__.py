"""save and load, in PyTorch's formats both ways.

A file is an uncompressed zip archive (`archive`): `data.pkl`, a pickle in which each storage is a reference
(`pickling`), and one record of raw bytes for each storage. Tensors that share memory share it again after loading.
Loading runs nothing from the file: the unpickler (`unpickling`) admits only listed classes and functions, those added
with `add_safe_globals`, or, with ``weights_only=False``, anything. Files from before PyTorch 1.6 are a row of pickles
and then the storages (`legacy`).
"""

import contextlib
import enum
import os
import pickle
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import IO, TypeAlias

from wengert.devices import device
from wengert.serialization import archive, legacy, unpickling
from wengert.serialization.pickling import Pickler, StorageReferences
from wengert.serialization.unpickling import (
    ADMITTED,
    StorageType,
    TrustingUnpickler,
    WeightsUnpickler,
    _get_layout,
    add_safe_globals,
    check_sparse_tensors,
    clear_safe_globals,
    get_safe_globals,
    globals_of,
    safe_globals,
    user_admitted,
)
from wengert.storage import UntypedStorage

__all__ = [
    "LoadEndianness", "add_safe_globals", "clear_safe_globals", "default_restore_location", "get_crc32_options",
    "get_default_load_endianness", "get_default_mmap_options", "get_safe_globals", "get_unsafe_globals_in_checkpoint",
    "load", "location_tag", "safe_globals", "save", "set_crc32_options", "set_default_load_endianness",
    "set_default_mmap_options",
]  # fmt: skip

DEFAULT_PROTOCOL = 2  # of pickles

FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
FILE_LIKE = FileLike
MAP_LOCATION: TypeAlias = Callable[[UntypedStorage, str], UntypedStorage] | device | str | dict[str, str] | None

# --- settings ---------------------------------------------------------------------------------------------------------


class LoadEndianness(enum.Enum):
    """The byte order of files that don't say theirs."""

    NATIVE, LITTLE, BIG = 1, 2, 3


class _Settings:
    endianness = None
    mmap_flags = 2  # MAP_PRIVATE: writes to a loaded tensor stay in memory


def get_default_load_endianness():
    """The byte order assumed for files that don't say theirs; None stands for little-endian."""
    return _Settings.endianness


def set_default_load_endianness(endianness):
    """Say what `get_default_load_endianness` returns; raises TypeError for what is no `LoadEndianness`."""
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _Settings.endianness = endianness


def get_crc32_options():
    """Whether checksums are written, and compared on loading."""
    return archive.checks.crc32


def set_crc32_options(compute_crc32):
    """Whether to write checksums and to compare them on loading; without, both are a little faster."""
    archive.checks.crc32 = bool(compute_crc32)


def get_default_mmap_options():
    """The flags with which ``load(mmap=True)`` maps a file: ``mmap.MAP_PRIVATE`` or ``mmap.MAP_SHARED``."""
    return _Settings.mmap_flags


class set_default_mmap_options:
    """Set what `get_default_mmap_options` returns; as a context manager, for the block only.

    Raises ValueError for other flags.
    """

    def __init__(self, flags):
        self.previous = _Settings.mmap_flags
        if flags not in (1, 2):
            raise ValueError(
                f"Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, "
                f"but got {flags}"
            )
        _Settings.mmap_flags = flags

    def __enter__(self):
        pass

    def __exit__(self, *error):
        _Settings.mmap_flags = self.previous


# --- writing ----------------------------------------------------------------------------------------------------------


def save(obj, f, pickle_module=pickle, pickle_protocol=2, _use_new_zipfile_serialization=True,
         _disable_byteorder_record=False):  # fmt: skip
    """Write `obj` (tensors, modules, containers) to `f`, a path or a file open for writing bytes.

    A path is written whole or not at all: to a file beside it first, which takes its place when it has safely reached
    the disk.

    Args:
        pickle_protocol: 2 to 5; PyTorch reads only 2 with ``weights_only=True``.
        _use_new_zipfile_serialization: False writes the format from before PyTorch 1.6.
    Raises:
        NotImplementedError: another pickle module.
        RuntimeError: memory viewed as different dtypes, or a directory that is not there.
    """
    if pickle_module not in (None, pickle):
        raise NotImplementedError("torch.save: wengert writes with its own pickler; pickle_module must be pickle")
    is_path = isinstance(f, str | os.PathLike)
    if not is_path and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    references = StorageReferences()
    if _use_new_zipfile_serialization:
        text = Pickler.dumps(obj, pickle_protocol, references)
        byteorder = None if _disable_byteorder_record else sys.byteorder

        def write(file, name):
            archive.write(file, name, text, references.roots, byteorder)
    else:
        text = legacy.dumps(obj, pickle_protocol, references)

        def write(file, name):
            legacy.write(file, text, references, pickle_protocol)

    if is_path:
        path = os.fspath(f)
        name = os.path.splitext(os.path.basename(os.fsdecode(path)))[0] or "archive"
        write_whole(path, lambda file: write(file, name), zip_errors=_use_new_zipfile_serialization)
    else:
        write(f, "archive")


def write_whole(path, write, zip_errors):
    """Have ``write(file)`` fill a file that then takes the place of `path`; if it fails, `path` is as it was."""
    path = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(path)
    if zip_errors and not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {folder} does not exist.")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    in_place = mode is not None and not stat.S_ISREG(mode)  # a device or a pipe can't be replaced
    if in_place or not os.access(folder, os.W_OK):
        with open(path, "wb") as file:
            write(file)
        return
    handle, beside = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(path)}-")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~current_umask() if mode is None else stat.S_IMODE(mode))
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    sync_folder(folder)


def current_umask():
    """The permissions that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder):
    """Have a new name in `folder` reach the disk, where the system lets one ask for that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# --- reading ----------------------------------------------------------------------------------------------------------


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """What `save`, here or PyTorch's, wrote to `f` (a path, or a seekable file open for reading bytes).

    Args:
        map_location: where storages go: None, a device or its name, ``{from: to}``, or ``function(storage, location)``.
            It must lead to the CPU; "meta" gives shapes and dtypes alone.
        pickle_module: another module whose Unpickler to use; only with ``weights_only=False``.
        weights_only: admit tensors, plain containers and listed classes only (the default); False admits any class,
            which may run code from the file.
        mmap: leave the storages on the disk, to be read when they are used; `f` must be a path.
        encoding: for ``weights_only=False``, how to read byte strings that Python 2 pickled.
    Raises:
        RuntimeError: the file is truncated or corrupt, or its tensors are of a device that is not here.
        pickle.UnpicklingError: it holds a class that is not admitted, or a pickle that is corrupt.
        EOFError: it is empty.
    """
    if isinstance(map_location, str | device) and str(map_location) == "meta":
        with unpickling.on_meta():
            return load(f, None, pickle_module, weights_only=weights_only, mmap=mmap, **pickle_load_args)
    weights_only = resolve_weights_only(weights_only, pickle_module)
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if pickle_load_args and weights_only:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    pickle_load_args.setdefault("encoding", "utf-8")
    restore = restoring(map_location)
    if isinstance(f, str | os.PathLike):
        if os.fsdecode(os.fspath(f)).endswith(".safetensors"):
            return load_safetensors(os.fspath(f), restore)
        with open(f, "rb") as file:
            return load_file(file, restore, pickle_module, weights_only, mmap, pickle_load_args, os.fspath(f))
    check_seekable(f)
    if mmap and archive.is_zip(f):
        raise ValueError("f must be a file path in order to use the mmap argument")
    return load_file(f, restore, pickle_module, weights_only, mmap, pickle_load_args, None)


def resolve_weights_only(weights_only, pickle_module):
    """What `weights_only` means together with PyTorch's environment variables."""
    forced, released = (
        os.environ.get(f"TORCH_FORCE_{name}WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true")
        for name in ("", "NO_")
    )
    if forced and released:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` should be set, but both "
            "were set."
        )
    if forced:
        return True
    if weights_only is None:
        if released:
            warnings.warn(
                "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the`weights_only` argument was "
                "not explicitly passed to `torch.load`, forcing weights_only=False.",
                stacklevel=3,
            )
            return False
        return pickle_module is None
    return bool(weights_only)


def check_seekable(file):
    """Raise AttributeError for what is no file, or none that can be read anywhere."""
    try:
        file.seek(file.tell())
    except (AttributeError, OSError) as error:
        raise AttributeError(
            f"{error}. You can only torch.load from a file that is seekable. Please pre-load the data into a buffer "
            "like io.BytesIO and try to load from it instead."
        ) from None


def load_file(file, restore, pickle_module, weights_only, mmap, pickle_load_args, path):
    """Load from an open file, in whichever of the formats it is."""

    def unpickle(text, persistent_load):
        if weights_only:
            return WeightsUnpickler(text, persistent_load).load()
        return TrustingUnpickler.of(pickle_module)(text, persistent_load, **pickle_load_args).load()

    if archive.is_zip(file):
        with archive.Archive(file) as records:
            records.check_is_checkpoint(weights_only)
            flags = _Settings.mmap_flags if mmap else None
            storages = archive.Storages(records, restore, byteorder_unsaid(), path, flags)
            result = unpickle(records.pickle(), storages.persistent_load)
            check_sparse_tensors()
            return result
    if mmap:
        raise RuntimeError(
            "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), please "
            "torch.save your checkpoint with this option in order to use mmap."
        )
    result = legacy.load(file, restore, unpickle)
    check_sparse_tensors()
    return result


def byteorder_unsaid():
    """The byte order of a file that doesn't say its own."""
    return {LoadEndianness.NATIVE: sys.byteorder, LoadEndianness.BIG: "big"}.get(_Settings.endianness, "little")


def load_safetensors(path, restore):
    """The tensors of a file in the safetensors format, by name."""
    try:
        import safetensors
    except ImportError as error:
        raise RuntimeError(
            "Attempting to load a safetensors file but safetensors is not installed. Please install safetensors with: "
            "pip install safetensors"
        ) from error
    from wengert.serialization import tensors_of_safetensors

    return tensors_of_safetensors.read(safetensors, path, restore)


def get_unsafe_globals_in_checkpoint(f):
    """The names in a checkpoint of what ``weights_only=True`` does not admit; nothing of the file is run.

    Raises ValueError for a file that is no zip archive, or a TorchScript one.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(f, "rb")) if isinstance(f, str | os.PathLike) else f
        if not archive.is_zip(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        records = stack.enter_context(archive.Archive(file))
        if records.is_torchscript():
            raise ValueError(
                "Expected input to be a checkpoint returned by torch.save but got a torchscript checkpoint"
            )
        return [name for name in globals_of(records.pickle()) if name not in ADMITTED and name not in user_admitted()]


# --- places -----------------------------------------------------------------------------------------------------------


def location_tag(storage):
    """The name of the place where a storage is: "cpu"."""
    return "cpu"


def default_restore_location(storage, location):
    """`storage` at `location`: raises RuntimeError unless that is the CPU."""
    if location.startswith("cpu"):
        return storage
    for kind in ("cuda", "xpu", "hpu"):
        if location.startswith(kind):
            raise RuntimeError(
                f"Attempting to deserialize object on a {kind.upper()} device but torch.{kind}.is_available() is "
                "False. If you are running on a CPU-only machine, please use torch.load with "
                "map_location=torch.device('cpu') to map your storages to the CPU."
            )
    if location.startswith("meta"):
        raise NotImplementedError("torch.load: of the 'meta' device only map_location='meta' is supported, for all")
    if location.startswith("mps"):
        raise RuntimeError(f"torch.UntypedStorage(): Storage device not recognized: {location}")
    raise RuntimeError(
        f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with {location})"
    )


def restoring(map_location):
    """``function(storage, location)`` that brings a storage to where `map_location` says."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(storage, map_location.get(location, location))
    if isinstance(map_location, str | device):
        return lambda storage, location: default_restore_location(storage, str(map_location))

    def restore(storage, location):
        result = map_location(storage, location)
        if result is None:
            return default_restore_location(storage, location)
        if not isinstance(result, UntypedStorage):
            raise TypeError(f"map_location must return a storage or None, but got {type(result).__name__}")
        return result

    return restore
