"""What a node keeps for backward, and what an array holds, in a few numbers."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from wengert.autograd.graph import FREED

LARGEST = 1 << 20  # elements: beyond this an array is not read through for its statistics
SHOWN_WHOLE = 4  # elements: up to this many are shown as they are


class Kept(NamedTuple):
    """One value that a node keeps: its public name, and shape, dtype and bytes if it is an array."""

    name: str
    shape: tuple | None
    dtype: str | None
    nbytes: int
    value: Any  # a text, or statistics as `summary` gives them, or None
    memory: int  # which memory it lies in, so that nothing is counted twice

    def as_dict(self):
        shown = {"name": self.name, "shape": self.shape, "dtype": self.dtype, "bytes": self.nbytes, "value": self.value}
        return {key: value for key, value in shown.items() if value is not None and value != 0}


def kept_by(node, statistics):
    """Everything that `node` keeps; None if it was freed."""
    if node.versions is FREED:
        return None
    found = []
    for name, value in saved_slots(node):
        if value is not None:
            unfold(name, value, statistics, found)
    return found


def saved_slots(node):
    kind = type(node)
    slots = names_of_slots(kind)
    if slots is not None:
        return [(name, getattr(node, slot, None)) for name, slot in slots]
    if hasattr(kind, "s_saved"):
        return [(f"saved_tensors[{i}]", value) for i, value in enumerate(node.s_saved)]
    return [(name, getattr(node.fn, slot, None)) for name, slot in node.fn.saved.items()]


@cache
def names_of_slots(kind):
    """(public name, slot) of what nodes of a class keep; None for a user's Function, whose nodes know themselves, and
    for a write through a view, which stands around the node of the operation that wrote.
    """
    return None if hasattr(kind, "s_saved") or hasattr(kind, "fn") else tuple(kind.saved.items())


def unfold(name, value, statistics, found):
    array = getattr(value, "_array", None)
    if array is None:
        if isinstance(value, (tuple, list)) and any(getattr(v, "_array", None) is not None for v in value):
            for i, part in enumerate(value):
                if part is not None:
                    unfold(f"{name}[{i}]", part, statistics, found)
            return
        if not isinstance(value, np.ndarray):
            text = repr(value)
            found.append(Kept(name, None, None, 0, text if len(text) <= 80 else text[:77] + "...", 0))
            return
        array = value
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    dtype = dtype_name(getattr(value, "dtype", array.dtype))
    found.append(Kept(name, array.shape, dtype, array.nbytes, summary(array) if statistics else None, id(owner)))


@cache
def dtype_name(dtype):
    """``float32`` of ours, and of NumPy's."""
    return None if dtype is None else str(dtype).rpartition(".")[2]


def summary(array):
    """The size and spread of an array in a JSON-ready dict: few elements as they are, more by statistics.

    ``norm``, ``mean``, ``min``, ``max`` are those of the finite elements (of their magnitudes, for complex numbers);
    ``zeros`` and ``nonfinite`` count elements.
    """
    array = np.asarray(array)
    if not array.size or array.size > LARGEST:
        return None
    if array.dtype.kind not in "fc" and array.dtype.kind in "biu":
        array = array.astype(np.float64)
    with np.errstate(all="ignore"):
        values = np.abs(array).astype(np.float64) if array.dtype.kind == "c" else array.astype(np.float64)
    found = {}
    if values.size <= SHOWN_WHOLE:
        found["values"] = [number(v) for v in values.ravel()]
    finite = np.isfinite(values)
    bad = values.size - int(np.count_nonzero(finite))
    if bad:
        found["nonfinite"] = bad
        values = values[finite]
    if values.size:
        found |= {
            "norm": number(np.sqrt(np.square(values).sum())),
            "mean": number(values.mean()),
            "min": number(values.min()),
            "max": number(values.max()),
            "zeros": values.size - int(np.count_nonzero(values)),
        }
    found["size"] = int(array.size)
    return found


def number(x):
    """A number that JSON can say: infinities and NaN become their names."""
    x = float(x)
    return float(f"{x:.6g}") if np.isfinite(x) else str(x)
