"""Rows of a table, looked up and added to; elements looked up and added to along a dimension; and masks.

Rows are shared by threads so that the result is the same for any number of them: looking up, each thread has some of
the results; adding, some of the rows of the table, to which it adds in the order in which the values stand.

Elements along a dimension are seen as (outer, n, inner), and taken in the order in which they lie.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels import indexing as reference
from wengert.kernels.copies import in_rows
from wengert.kernels.cpu.assembly import COMPUTE
from wengert.kernels.cpu.expressions import F32, F64, Symbol
from wengert.kernels.cpu.function import kernel, plan, task
from wengert.kernels.cpu.pointwise import TASK, Kernel, lanes_for

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
    """As the reference: ``target[index[k]] += values[k]``, in order; returns the target, or None where that has to."""
    fit = (
        ufunc is np.add and target.ndim > 1 and target.dtype in (F32, F64) and values.dtype == target.dtype
        and target.flags.c_contiguous and target.flags.writeable and index.dtype == INT64 and index.ndim == 1
        and len(index) and target.size and values.shape == (len(index), *target.shape[1:])
        and target[0].size >= 8
    )  # fmt: skip
    if not fit:
        return None
    if index.min() < 0 or index.max() >= len(target):
        raise IndexError("index out of range in self")
    index, values = np.ascontiguousarray(index), values if values.flags.c_contiguous else in_rows(values)
    each = -(-len(target) // PARTS)
    numbers = plan(target[0].size, len(index), each, 0, 0, 0, PARTS)
    compiled(add_function, target.dtype)(numbers, id(index), id(values), id(target))
    return target


# --- one index for each element ---------------------------------------------------------------------------------------

ALONG = ("n", "inner", "length", "lines", "each", "parts", "tasks", "part", "lines_of_outer", "rows")
UNROLLED = 4  # elements of a step; taking them one by one is quicker than the processor's own gathers
SIZES = {1: "i8", 2: "i16", 4: "i32", 8: "i64"}  # elements that are only moved
ADDED = {F32: "float", F64: "double"}


def lines_of(f, field, body):
    """``body(line, first, last)`` for this task's part of each of its lines."""
    block, part = f.div("%task", field["parts"]), f.rem("%task", field["parts"])
    first = f.mul(part, field["part"])
    last = f.minimum(f.add(first, field["part"]), field["length"])
    start = f.mul(block, field["each"])
    with f.loop(start, f.minimum(f.add(start, field["each"]), field["lines"])) as line:
        body(line, first, last)


def one_by_one(f, first, last, body):
    """``body(i)`` for i from `first` to `last`, some at once."""
    whole = f.add(first, f.mul(f.div(f.sub(last, first), UNROLLED), UNROLLED))
    for start, end, step in ((first, whole, UNROLLED), (whole, last, 1)):
        with f.loop(start, end, step) as i:
            for k in range(step):
                body(f.add(i, k))


def element_at(f, pointer, kind, place):
    return f.op(f"getelementptr {kind}, ptr {pointer}, i64 {place}")


def offset_of(f, field, which, i, last_dim):
    """Where the element `which` along the dimension lies, `i` being its place along the last one."""
    return which if last_dim else f.add(f.mul(which, field["inner"]), i)


def gather_function(size, last_dim):
    """out = source at the index; `bad` becomes 1 where the index doesn't lie within."""
    f, field, (source, index, out, bad) = task(ALONG, 4, 1)
    element, n, outside = SIZES[size], field["n"], f.variable("i64")
    f.store(0, outside, "i64")

    def line_of(line, first, last):
        base = f.mul(f.div(line, field["lines_of_outer"]), f.mul(n, field["inner"]))
        base, begin = element_at(f, source, element, base), f.mul(line, field["length"])

        def one(i):
            here = f.add(begin, i)
            which = f.load(element_at(f, index, "i64", here), "i64")
            within = f.op(f"icmp ult i64 {which}, {n}")
            which = f.op(f"select i1 {within}, i64 {which}, i64 0")
            wrong = f.op(f"select i1 {within}, i64 0, i64 1")
            f.store(f.op(f"or i64 {wrong}, {f.load(outside, 'i64')}"), outside, "i64")
            place = element_at(f, base, element, offset_of(f, field, which, i, last_dim))
            value = f.op(f"load {element}, ptr {place}, align {size}")
            f.do(f"store {element} {value}, ptr {element_at(f, out, element, here)}, align {size}")

        one_by_one(f, first, last, one)

    lines_of(f, field, line_of)
    some = f.op(f"icmp ne i64 {f.load(outside, 'i64')}, 0")
    f.where(some, lambda: f.do(f"store i64 1, ptr {bad}, align 8"))
    return f


def scatter_function(element, size, adding, last_dim):
    """target at the index = or += values, in order."""
    f, field, (target, index, values) = task(ALONG, 3, 1)
    rows = field["rows"]

    def line_of(line, first, last):
        base = element_at(f, target, element, f.mul(line, f.mul(field["n"], field["inner"])))

        def one(i, row=0):
            here = f.add(f.mul(f.add(f.mul(line, rows), row), field["length"]), i)
            which = f.load(element_at(f, index, "i64", here), "i64")
            value = f.op(f"load {element}, ptr {element_at(f, values, element, here)}, align {size}")
            place = element_at(f, base, element, offset_of(f, field, which, i, last_dim))
            if adding:
                value = f.op(f"fadd {element} {f.op(f'load {element}, ptr {place}, align {size}')}, {value}")
            f.do(f"store {element} {value}, ptr {place}, align {size}")

        with f.loop(0, rows) as row:
            one_by_one(f, first, last, lambda i: one(i, row))

    lines_of(f, field, line_of)
    return f


@cache
def compiled_along(make, arrays, *options):
    return kernel([make(*options)], arrays)


def along(array, dim, index):
    """(outer, n, inner, how many the index has along `dim`), where the kernels can walk these arrays, else None."""
    if array.ndim != index.ndim or not array.ndim or index.dtype != INT64 or not index.size or not array.size:
        return None
    shapes = [(*a.shape[:dim], *a.shape[dim + 1 :]) for a in (array, index)]
    if shapes[0] != shapes[1] or not (array.flags.c_contiguous and index.flags.c_contiguous):
        return None
    return prod(array.shape[:dim]), array.shape[dim], prod(array.shape[dim + 1 :]), index.shape[dim]


def walked(n, inner, length, lines, per, rows, part):
    """The plan for so many lines of `length` elements, of which `rows` lie below each other."""
    each, parts = max(1, TASK // (length * rows)), -(-length // part)
    return plan(n, inner, length, lines, each, parts, -(-lines // each) * parts, part, per, rows)


def gather(input, dim, index):
    """As the reference; None for arrays that don't lie one beside the other, and where the reference has to refuse."""
    walk = along(input, dim, index)
    if walk is None or input.dtype.itemsize not in SIZES:
        return None
    outer, n, inner, k = walk
    last_dim = inner == 1
    length, lines, per = (k, outer, 1) if last_dim else (inner, outer * k, k)
    out, bad = np.empty(index.shape, input.dtype), np.zeros(1, np.int64)
    numbers = walked(n, inner, length, lines, per, 1, min(length, TASK))
    compiled_along(gather_function, 4, input.dtype.itemsize, last_dim)(numbers, id(input), id(index), id(out), id(bad))
    return None if bad[0] else out


def scatter(input, dim, index, src, adding):
    """Write or add `src` into `input`, as the reference; False where that has to."""
    walk = along(input, dim, index) if isinstance(src, np.ndarray) and src.dtype == input.dtype else None
    if walk is None or src.shape != index.shape or not input.flags.writeable:
        return False
    element = ADDED.get(input.dtype) if adding else SIZES.get(input.dtype.itemsize)
    if element is None or int(index.view(np.uint64).max()) >= walk[1]:
        return False
    if np.may_share_memory(input, src) or np.may_share_memory(input, index):
        return False
    src = np.ascontiguousarray(src)
    outer, n, inner, k = walk
    last_dim = inner == 1
    length, rows = (k, 1) if last_dim else (inner, k)
    # What is written to one place stays in order: a part has all rows, and a row of the last dimension is not parted.
    part = length if last_dim else min(length, max(64, TASK // rows))
    numbers = walked(n, inner, length, outer, 1, rows, part)
    compiled_along(scatter_function, 3, element, input.dtype.itemsize, adding, last_dim)(
        numbers, id(input), id(index), id(src)
    )
    return True


KEEP = {
    True: Kernel("tril", None, lambda x, row, column: np.where(column <= row, x, 0)),
    False: Kernel("triu", None, lambda x, row, column: np.where(column >= row, x, 0)),
}  # by whether the lower triangle is kept


def triangle(input, diagonal, lower):
    """Matrices with zeros above a diagonal, or below it unless `lower`; None for dtypes without vectors."""
    rows, columns = input.shape[-2:]
    most = max(rows, columns)
    below = np.arange(rows, dtype=np.int32) + np.int32(max(min(diagonal, most), -most))
    out = np.empty(input.shape, input.dtype)
    return out if KEEP[lower].into(out, input, below[:, None], np.arange(columns, dtype=np.int32)) else None


FILL = Kernel("masked_fill", lambda input, mask, value: np.where(mask, value, input))


def masked_fill(input, mask, value):
    value = np.asarray(value)
    plain = mask.dtype == bool and value.ndim == 0 and input.flags.c_contiguous
    if not plain or (mask.shape != input.shape and np.broadcast_shapes(mask.shape, input.shape) != input.shape):
        return reference.masked_fill.reference(input, mask, value)
    return FILL(input, mask, value.astype(input.dtype, copy=False))
