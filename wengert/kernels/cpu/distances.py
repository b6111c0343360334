"""Distances between rows of one array and rows of another, which are read again and again while they are in a cache."""

from math import inf

import numpy as np

from wengert.kernels.cpu import mathematics as m
from wengert.kernels.cpu.expressions import F32, F64, absolute
from wengert.kernels.cpu.rows import RowKernel


def absolute_row(row, a, b):
    row.number(row.sum(absolute(a - b), wide=True), 0)


def euclidean_row(row, a, b):
    d = a - b
    row.number(m.sqrt(row.sum(d * d, wide=True)), 0)


def largest_row(row, a, b):
    row.number(row.max(absolute(a - b)), 0)


NORMS = {p: RowKernel("cdist", program) for p, program in ((1, absolute_row), (2, euclidean_row), (inf, largest_row))}


def distances(first, second, p):
    """The p-norms of the differences of (..., M) arrays that broadcast; None where there is no kernel for that."""
    if p not in NORMS or first.dtype not in (F32, F64) or first.dtype != second.dtype:
        return None
    shape = np.broadcast_shapes(first.shape, second.shape)
    out = np.empty((*shape[:-1], 1), first.dtype)
    return out[..., 0] if out.size and shape[-1] and NORMS[p](shape, [first, second], [out]) else None
