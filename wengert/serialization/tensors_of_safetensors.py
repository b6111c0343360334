"""Files in the safetensors format, through its own library."""

import numpy as np

from wengert import dtypes
from wengert.storage import UntypedStorage
from wengert.tensor import wrap

DTYPES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "I8": dtypes.int8, "I16": dtypes.int16, "U16": dtypes.uint16,
    "I32": dtypes.int32, "U32": dtypes.uint32, "I64": dtypes.int64, "U64": dtypes.uint64, "F16": dtypes.float16,
    "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64, "C64": dtypes.complex64,
    "F8_E4M3": dtypes.float8_e4m3fn, "F8_E5M2": dtypes.float8_e5m2,
}  # fmt: skip


def read(safetensors, path, restore):
    """The tensors of the file at `path`, by name; the library raises its own error for a corrupt one."""
    with open(path, "rb") as file:
        entries = safetensors.deserialize(file.read())
    found = {}
    for name, entry in entries:
        dtype = DTYPES[entry["dtype"]]
        storage = restore(UntypedStorage(np.frombuffer(bytearray(entry["data"]), np.uint8)), "cpu")
        found[name] = wrap(storage.line(dtype).reshape(entry["shape"]), dtype)
    return found
