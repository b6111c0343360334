"""Numbers as elements of a dtype, refused where they don't fit into it."""

from functools import lru_cache
from math import inf, isinf, isnan

import ml_dtypes
import numpy as np

LARGEST = {np.dtype(kind): float(ml_dtypes.finfo(kind).max) for kind in (np.float16, ml_dtypes.bfloat16, np.float32)}
FLOAT32_MAX = LARGEST[np.dtype(np.float32)]


@lru_cache(maxsize=1024)
def positive(value, dtype):
    """A positive number as an array of no dimensions, which a ufunc takes at half the price of a scalar."""
    return np.array(value, dtype)


def fitting(value, dtype):
    """A number as a scalar of a NumPy dtype; raises RuntimeError where it would overflow or lose its imaginary part."""
    kind = dtype.kind
    if kind == "b":
        return np.bool_(value)
    if isinstance(value, complex) and kind != "c":
        if value.imag != 0:
            raise overflow(dtype)
        value = value.real
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise ValueError("Overflow when unpacking long long")
    if kind in "iu":
        return integer_fitting(value, dtype)
    if dtype in LARGEST and isinstance(value, (int, float)) and LARGEST[dtype] < abs(value) and not isinf(value):
        raise overflow(dtype)
    return dtype.type(value)


def integer_fitting(value, dtype):
    if isinstance(value, float) and (isnan(value) or value in (inf, -inf)):
        raise overflow(dtype)
    limits = np.iinfo(dtype)
    # PyTorch lets negative integers wrap around into unsigned types, but not negative floats.
    lowest = -limits.max if not limits.min and not isinstance(value, float) else limits.min
    value = int(value)
    if not lowest <= value <= limits.max:
        raise overflow(dtype)
    return np.array(value).astype(dtype)[()] if value < limits.min else dtype.type(value)


C_NAMES = {
    "float32": "float", "float64": "double", "bool": "bool", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "int32": "int",
}  # fmt: skip


def overflow(dtype):
    name = C_NAMES.get(dtype.name, f"{dtype.name}_t")
    return RuntimeError(f"value cannot be converted to type {name} without overflow")
