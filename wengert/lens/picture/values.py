"""What a node keeps for backward, and what an array holds, in a few numbers."""

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
        unfold(name, value, statistics, found)
    return found


def saved_slots(node):
    kind = type(node)
    if hasattr(kind, "s_saved"):  # a user's Function
        return [(f"saved_tensors[{i}]", value) for i, value in enumerate(node.s_saved)]
    if hasattr(kind, "fn"):  # a write through a view stands around the node of the operation that wrote
        node = node.fn
    return [(name, getattr(node, slot, None)) for name, slot in node.saved.items()]


def unfold(name, value, statistics, found):
    if isinstance(value, (tuple, list)) and any(getattr(v, "_array", None) is not None for v in value):
        for i, part in enumerate(value):
            unfold(f"{name}[{i}]", part, statistics, found)
        return
    array = getattr(value, "_array", value if isinstance(value, np.ndarray) else None)
    if array is None:
        if value is not None:
            text = repr(value)
            found.append(Kept(name, None, None, 0, text if len(text) <= 80 else text[:77] + "...", 0))
        return
    dtype = str(getattr(value, "dtype", array.dtype)).rpartition(".")[2]
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    found.append(Kept(name, array.shape, dtype, array.nbytes, summary(array) if statistics else None, id(owner)))


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
