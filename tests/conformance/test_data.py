"""Loaders give PyTorch's batches: same order, same numbers drawn in workers, same errors; collate makes the same."""

from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from tests.conformance.both import assert_same

Point = namedtuple("Point", "x y")


@pytest.mark.parametrize("words", [["fork"], ["spawn", "few"]], ids="-".join)
def test_batches_of_workers(oracle, words):
    assert_same(Path(__file__).with_name("data_program.py"), *words)


SAMPLES = {
    "ints": [1, 2, 3], "bools": [True, False], "floats": [0.1, 2.0], "texts": ["a", "b"], "bytes": [b"a", b"b"],
    "arrays": [np.arange(3, dtype=np.int16), np.ones(3, np.int16)], "half": [np.ones(2, np.float16)],
    "scalars": [np.float32(1), np.float32(2)], "truths": [np.bool_(True), np.bool_(False)], "zeros": [np.array(1.5)],
    "tuples": [(1, "x", 0.5), (2, "y", 1.5)], "lists": [[1, 2], [3, 4]], "points": [Point(1, 2.0), Point(3, 4.0)],
    "dicts": [{"a": 1, "b": [2, 3]}, {"a": 4, "b": [5, 6]}], "ordered": [OrderedDict(a=1), OrderedDict(a=2)],
    "default": [defaultdict(int, a=1), defaultdict(int, a=2)], "proxies": [MappingProxyType({"a": 1})],
    "uneven": [[1, 2], [3]], "none": [None, None], "objects": [np.array(["a", "b"])], "sets": [{1}, {2}], "empty": [[]],
    "complex": [1 + 2j, 3j], "ranges": [range(2), range(2, 4)], "large": [2**40, 1], "mixed": [1, 2.5],
    "unsigned": [np.uint16(3), np.uint16(4)],
}  # fmt: skip


def plain(value):
    """A batch as something to compare: tensors by dtype and content."""
    if hasattr(value, "untyped_storage"):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, dict | MappingProxyType):
        return type(value), {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return type(value), value.tolist()
    return type(value), repr(value)


def outcome(function, argument):
    try:
        return plain(function(argument))
    except Exception as error:
        return type(error), str(error).partition(";")[0]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("function", ["default_collate", "default_convert"])
def test_collate_makes_the_same(subject, oracle, function, name):
    import torch.utils.data

    import wengert.utils.data

    ours, theirs = getattr(wengert.utils.data, function), getattr(torch.utils.data, function)
    assert outcome(ours, SAMPLES[name]) == outcome(theirs, SAMPLES[name])
