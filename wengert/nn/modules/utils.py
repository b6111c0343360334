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


def _reverse_repeat_tuple(t, n):
    """(a, b) → (b, b, a, a) for n = 2: padding in the order of `F.pad`."""
    return tuple(x for x in reversed(t) for _ in range(n))
