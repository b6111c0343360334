"""Rows of a table, looked up and added to; and masks.

Rows are shared by threads so that the result is the same for any number of them: looking up, each thread has some of
the results; adding, some of the rows of the table, to which it adds in the order in which the values stand.
"""

from functools import cache

import numpy as np

from wengert.kernels import indexing as reference
from wengert.kernels.cpu.assembly import COMPUTE
from wengert.kernels.cpu.expressions import F32, F64, Symbol
from wengert.kernels.cpu.function import kernel, plan, task
from wengert.kernels.cpu.pointwise import Kernel, lanes_for

INT64 = np.dtype(np.int64)
PARTS = 16  # of the table, when rows are added

UNUSED = ["unused"] * 3


def take_function():
    """Copy rows of the table that the index names, `each` of them."""
    f, field, (table, index, out) = task(("bytes", "count", "each", *UNUSED, "tasks"), 3, 1)
    size, first = field["bytes"], f.mul("%task", field["each"])
    row = lambda pointer, k: f.op(f"getelementptr i8, ptr {pointer}, i64 {f.mul(k, size)}")
    with f.loop(first, f.minimum(f.add(first, field["each"]), field["count"])) as i:
        which = f.load(f.op(f"getelementptr i64, ptr {index}, i64 {i}"), "i64")
        f.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {row(out, i)}, ptr {row(table, which)}, i64 {size}, i1 false)")
    return f


def add_function(dtype):
    """Add to those of `each` rows of the table that the index names, in the order of the values."""
    element, lanes = COMPUTE[dtype], lanes_for([Symbol("argument", (), dtype)])
    f, field, (index, values, table) = task(("width", "count", "each", *UNUSED, "tasks"), 3, lanes)
    width, low = field["width"], f.mul("%task", field["each"])
    high, whole = f.add(low, field["each"]), f.mul(f.div(width, lanes), lanes)
    at = lambda pointer, k: f.op(f"getelementptr {element}, ptr {pointer}, i64 {k}")
    with f.loop(0, field["count"]) as k:
        which = f.load(f.op(f"getelementptr i64, ptr {index}, i64 {k}"), "i64")
        mine = f.op(f"and i1 {f.op(f'icmp sge i64 {which}, {low}')}, {f.op(f'icmp slt i64 {which}, {high}')}")

        def row(k=k, which=which):
            to, source = at(table, f.mul(which, width)), at(values, f.mul(k, width))
            for step, start, end in ((lanes, 0, whole), (1, whole, width)):
                kind = f"<{step} x {element}>"
                with f.loop(start, end, step) as i:
                    place = at(to, i)
                    total = f.op(f"fadd {kind} {f.load(place, kind)}, {f.load(at(source, i), kind)}")
                    f.store(total, place, kind)

        f.where(mine, row)
    return f


@cache
def compiled(make, *options):
    return kernel([make(*options)], 3)


def take_rows(weight, indices, padding_idx=-1, scale_grad_by_freq=False):
    """The rows of a table that `indices`, known to lie within, name."""
    index = np.ascontiguousarray(indices, np.int64).reshape(-1)
    if not weight.flags.c_contiguous or weight.ndim != 2 or not index.size or not weight.size:
        return weight.take(indices, 0)
    out = np.empty((*indices.shape, weight.shape[1]), weight.dtype)
    row = weight.shape[1] * weight.dtype.itemsize
    each = max(1, (1 << 16) // row)
    numbers = plan(row, index.size, each, 0, 0, 0, -(-index.size // each))
    compiled(take_function)(numbers, id(weight), id(index), id(out))
    return out


def accumulate_rows(target, index, values, ufunc=np.add):
    """As the reference: ``target[index[k]] += values[k]``, in order."""
    fit = (
        ufunc is np.add and target.ndim > 1 and target.dtype in (F32, F64) and values.dtype == target.dtype
        and target.flags.c_contiguous and target.flags.writeable and index.dtype == INT64 and index.ndim == 1
        and len(index) and target.size and values.shape == (len(index), *target.shape[1:])
        and target[0].size >= 8
    )  # fmt: skip
    if not fit:
        reference.accumulate_rows.reference(target, index, values, ufunc)
        return
    if index.min() < 0 or index.max() >= len(target):
        raise IndexError("index out of range in self")
    index, values = np.ascontiguousarray(index), np.ascontiguousarray(values)
    each = -(-len(target) // PARTS)
    numbers = plan(target[0].size, len(index), each, 0, 0, 0, PARTS)
    compiled(add_function, target.dtype)(numbers, id(index), id(values), id(target))


FILL = Kernel("masked_fill", lambda input, mask, value: np.where(mask, value, input))


def masked_fill(input, mask, value):
    value = np.asarray(value)
    plain = mask.dtype == bool and value.ndim == 0 and input.flags.c_contiguous
    if not plain or (mask.shape != input.shape and np.broadcast_shapes(mask.shape, input.shape) != input.shape):
        return reference.masked_fill.reference(input, mask, value)
    return FILL(input, mask, value.astype(input.dtype, copy=False))
