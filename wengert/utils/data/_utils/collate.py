"""From a list of samples to a batch: tensors are stacked, numbers become tensors, containers are gone through.

`default_collate_fn_map` says what becomes of a sample of which type, looked up first by the very type, then by
inheritance in the map's order; programs may add to it.
"""

import copy
import re
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import numpy as np

import wengert

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

np_str_obj_array_pattern = re.compile(r"[SaUO]")
UNKNOWN = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
default_collate_err_msg_format = UNKNOWN


def _is_text_or_object(array):
    return np_str_obj_array_pattern.search(array.dtype.kind) is not None


def _is_namedtuple(value):
    return isinstance(value, tuple) and hasattr(value, "_fields")


def default_convert(data):
    """`data` with every NumPy array and scalar in it as a tensor; other leaves stay what they are."""
    if isinstance(data, wengert.Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if _is_text_or_object(data) else wengert.as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if _is_namedtuple(data):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]  # a list, as in PyTorch
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuilt_sequence(data, [default_convert(value) for value in data])
    return data


def _rebuilt_mapping(like, items):
    """`items` in a mapping of the class of `like`, with its other properties; a dict where the class refuses."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(items)
            return clone
        return type(like)(items)
    except TypeError:
        return items


def _rebuilt_sequence(like, items):
    """`items` in a sequence of the class of `like`, with its other properties; a list where the class refuses."""
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for place, item in enumerate(items):
                clone[place] = item
            return clone
        return type(like)(items)
    except TypeError:
        return items


def collate(batch, *, collate_fn_map=None):
    """One batch of the samples in `batch`.

    Args:
        batch: a list of samples of one structure.
        collate_fn_map: ``{type: function(batch, *, collate_fn_map)}`` for the leaves.

    Raises:
        RuntimeError: lists of different lengths.
        TypeError: a leaf of a type that the map lacks.
    """
    sample = batch[0]
    gather = _collate_function(type(sample), sample, collate_fn_map or {})
    if gather is not None:
        return gather(batch, collate_fn_map=collate_fn_map)
    if isinstance(sample, Mapping):
        columns = {key: collate([each[key] for each in batch], collate_fn_map=collate_fn_map) for key in sample}
        return _rebuilt_mapping(sample, columns)
    if _is_namedtuple(sample):
        return type(sample)(*(collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch)))
    if isinstance(sample, Sequence):
        if any(len(each) != len(sample) for each in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch)]
        return columns if isinstance(sample, tuple) else _rebuilt_sequence(sample, columns)
    raise TypeError(UNKNOWN.format(type(sample)))


def _collate_function(kind, sample, functions):
    found = functions.get(kind)
    if found is not None:
        return found
    for types, function in functions.items():
        if isinstance(sample, types):
            return function
    return None


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """Tensors of one shape, stacked along a new first dimension."""
    return wengert.stack(list(batch), 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """Arrays of one shape, stacked as a tensor; raises TypeError for text and objects."""
    if _is_text_or_object(batch[0]):
        raise TypeError(UNKNOWN.format(batch[0].dtype))
    first = batch[0]
    if all(type(a) is np.ndarray and a.dtype == first.dtype and a.shape == first.shape for a in batch):
        return wengert.as_tensor(np.stack(batch))  # in one step, where nothing has to be converted or refused
    return collate([wengert.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """NumPy scalars, as a tensor of one dimension."""
    return wengert.as_tensor(batch)


def collate_float_fn(batch, *, collate_fn_map=None):
    """Python floats, as a float64 tensor: none of their bits is lost."""
    return wengert.tensor(batch, dtype=wengert.float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    """Python ints (or bools), as a tensor."""
    return wengert.tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    """Text, as the list that it came in."""
    return batch


default_collate_fn_map = {
    wengert.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch):
    """One batch of the samples in `batch`: every leaf gets a new first dimension; see `collate`."""
    return collate(batch, collate_fn_map=default_collate_fn_map)
