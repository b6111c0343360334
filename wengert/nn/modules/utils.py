"""Sizes given as one number, spread over the spatial dimensions."""

import collections
from itertools import repeat


def _ntuple(n, name):
    def spread(value):
        if isinstance(value, collections.abc.Iterable):
            return tuple(value)
        return tuple(repeat(value, n))

    spread.__name__ = name
    return spread


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def consume_prefix_in_state_dict_if_present(state_dict, prefix):
    """Take `prefix`, which a wrapper put in front of names, off those in a state dict and its metadata, in place."""
    for key in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", None)
    for key in list(metadata or ()):
        # The wrapper's own entry is named by its prefix without the dot; that of the root, "", stays.
        if key == prefix.replace(".", "") or key.startswith(prefix):
            metadata[key[len(prefix) :]] = metadata.pop(key)


def _reverse_repeat_tuple(t, n):
    """(a, b) → (b, b, a, a) for n = 2: padding in the order of `F.pad`."""
    return tuple(x for x in reversed(t) for _ in range(n))
