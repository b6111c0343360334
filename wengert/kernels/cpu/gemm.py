"""Products of large matrices in single precision: out = a · b, plus a bias for each column.

A task computes a block of rows of one panel's columns. The panel of the right-hand matrix is first copied to where it
stays in the second-level cache, so that the inner loop reads it without gaps however it lies in memory (a weight is
used transposed, in `linear`); a part of the depth at a time (Goto and van de Geijn 2008). The copy is on the stack of
the thread: tasks share nothing, and all are started at once. The left-hand matrix is read where it lies, in rows or in
columns: each of its elements serves the whole width of the panel.
"""

import ctypes
from functools import cache
from typing import NamedTuple

import numpy as np

from wengert.kernels.choices import FROM
from wengert.kernels.cpu import native, threads
from wengert.kernels.cpu.expressions import F32
from wengert.kernels.cpu.function import Fields, Function, kernel, module, plan, task
from wengert.kernels.cpu.pointwise import MOST_PLANS
from wengert.kernels.cpu.products import ROWS, TRANSPOSE, accumulate, addresses, call, panel_widths, transpose

DEPTH = 1024  # of a panel at a time
BLOCK = 64  # rows of a task, at least, where that leaves enough tasks
AHEAD = 16  # lines of a matrix that are fetched before they are copied to a panel: they lie in different pages
FEWEST = 256  # results of a product; one row or column is a vector, for which BLAS needs no panel

FIELDS = ("rows", "columns", "depth", "block", "row_tasks", "panels", "tasks", "group", "a_group", "a_batch", "a_row",
          "a_depth", "b_group", "b_batch", "b_depth", "b_column", "out_group", "out_batch", "out_row")  # fmt: skip
COLUMNS = FIELDS.index("columns")


def pack_function(vectors, lanes):
    """panel (depth × width) = the first `count` columns of b, zeros beyond."""
    f = Function(f"@pack{vectors}", "ptr b, i64 b_depth, i64 b_column, i64 depth, i64 count, ptr panel", lanes)
    width = vectors * lanes

    def by_rows():
        masks = [f.first(f.sub("%count", v * lanes)) for v in range(vectors)]
        with f.loop(0, "%depth") as k:
            line, there = f.at("%b", f.mul(k, "%b_depth")), f.at("%panel", f.mul(k, width))
            ahead = f.at(line, f.mul("%b_depth", AHEAD))
            for v, mask in enumerate(masks):
                f.prefetch(f.at(ahead, v * lanes))
                f.store(f.load_some(f.at(line, v * lanes), mask), f.at(there, v * lanes))

    def by_columns():
        size = f.mul(f.mul("%depth", width), 4)
        partial = f.op(f"icmp slt i64 %count, {width}")
        clear = f"call void @llvm.memset.p0.i64(ptr align 4 %panel, i8 0, i64 {size}, i1 false)"
        f.where(partial, lambda: f.do(clear))
        transpose(f, "%b", "%b_column", "%panel", width, "%count", "%depth")

    f.where(f.op("icmp eq i64 %b_column, 1"), by_rows, by_columns)
    return f


def pass_function(rows, vectors, lanes):
    """The first `count` columns of out (rows × width) = start + a · panel; `start_row` is 0 where rows start alike."""
    pointers, steps = "ptr a, ptr panel, ptr out, ptr start", "i64 a_row, i64 a_depth, i64 out_row, i64 start_row"
    f = Function(f"@pass{rows}x{vectors}", f"{pointers}, {steps}, i64 depth, i64 count", lanes)
    masks = [f.first(f.sub("%count", v * lanes)) for v in range(vectors)]
    sums = {(r, v): f.variable() for r in range(rows) for v in range(vectors)}
    for (r, v), place in sums.items():
        f.store(f.load_some(f.at("%start", f.mul(r, "%start_row"), v * lanes), masks[v]), place)
    accumulate(f, sums, "%a", "%a_row", "%a_depth", "%panel", vectors * lanes, "%depth")
    for (r, v), place in sums.items():
        f.store_some(f.load(place), f.at("%out", f.mul(r, "%out_row"), v * lanes), masks[v])
    return f


def rows_function(vectors, lanes):
    """`rows` rows of one panel, in passes of `ROWS` and the rest one by one."""
    pointers, steps = "ptr a, ptr panel, ptr out, ptr start", "i64 a_row, i64 a_depth, i64 out_row, i64 start_row"
    f = Function(f"@rows{vectors}", f"{pointers}, {steps}, i64 depth, i64 count, i64 rows", lanes)
    whole = f.mul(f.div("%rows", ROWS), ROWS)
    for first, last, count in ((0, whole, ROWS), (whole, "%rows", 1)):
        with f.loop(first, last, count) as row:
            a, out, start = (f.at(f"%{name}", f.mul(row, f"%{name}_row")) for name in ("a", "out", "start"))
            f.do(f"call void @pass{count}x{vectors}(ptr {a}, ptr %panel, ptr {out}, ptr {start}, i64 %a_row, "
                 "i64 %a_depth, i64 %out_row, i64 %start_row, i64 %depth, i64 %count)")  # fmt: skip
    return f


def block_function(vectors, lanes):
    """A block of rows, from `first` to `last`, of the columns from `column` on, for one product of the batch."""
    arrays, numbers = "ptr argument, ptr a, ptr b, ptr bias, ptr out", "i64 batch, i64 first, i64 last, i64 column"
    f = Function("@@block", f"{arrays}, {numbers}", lanes, internal=False)
    field, width = Fields(f, FIELDS), vectors * lanes
    count = f.minimum(f.sub(field["columns"], "%column"), width)
    a_row, a_depth, b_depth, b_column = (field[k] for k in ("a_row", "a_depth", "b_depth", "b_column"))
    out_row = field["out_row"]
    group, member = f.div("%batch", field["group"]), f.rem("%batch", field["group"])

    def of_batch(name):
        return f.at(f"%{name}", f.mul(group, field[f"{name}_group"]), f.mul(member, field[f"{name}_batch"]))

    a = f.at(of_batch("a"), f.mul("%first", a_row))
    b = f.at(of_batch("b"), f.mul("%column", b_column))
    out = f.at(of_batch("out"), f.mul("%first", out_row), "%column")
    bias = f.at("%bias", "%column")
    panel = f.variable(f"[{DEPTH * width} x float]")
    rows, depth = f.sub("%last", "%first"), field["depth"]
    with f.loop(0, depth, DEPTH) as k:
        part = f.minimum(f.sub(depth, k), DEPTH)
        begun = f.op(f"icmp eq i64 {k}, 0")
        start = f.op(f"select i1 {begun}, ptr {bias}, ptr {out}")
        start_row = f.op(f"select i1 {begun}, i64 0, i64 {out_row}")
        f.do(f"call void @pack{vectors}(ptr {f.at(b, f.mul(k, b_depth))}, i64 {b_depth}, i64 {b_column}, i64 {part}, "
             f"i64 {count}, ptr {panel})")  # fmt: skip
        f.do(f"call void @rows{vectors}(ptr {f.at(a, f.mul(k, a_depth))}, ptr {panel}, ptr {out}, ptr {start}, "
             f"i64 {a_row}, i64 {a_depth}, i64 {out_row}, i64 {start_row}, i64 {part}, i64 {count}, "
             f"i64 {rows})")  # fmt: skip
    return f


def task_function(lanes):
    """Which product of the batch, which panel and which rows a task has; narrow last panels take fewer vectors."""
    f, field, pointers = task(FIELDS, 4, lanes)
    arrays, widths = [("ptr", "%argument"), *(("ptr", p) for p in pointers)], panel_widths(lanes)
    share, rest = f.rem("%task", field["row_tasks"]), f.div("%task", field["row_tasks"])
    panel, batch = f.rem(rest, field["panels"]), f.div(rest, field["panels"])
    first = f.mul(share, field["block"])
    last = f.minimum(f.add(first, field["block"]), field["rows"])
    column = f.mul(panel, widths[0] * lanes)
    left = f.sub(field["columns"], column)

    def narrowest(narrower, vectors):
        def block():
            call(f, f"wengert_block{vectors}", *arrays, *(("i64", n) for n in (batch, first, last, column)))

        if narrower:
            enough = f.op(f"icmp sle i64 {left}, {narrower[0] * lanes}")
            f.where(enough, lambda: narrowest(narrower[1:], narrower[0]), block)
        else:
            block()

    narrowest(widths[1:], widths[0])
    return f


def block_address(vectors, lanes):
    """The address of the function for panels of so many vectors."""
    passes = [pass_function(rows, vectors, lanes) for rows in (ROWS, 1)]
    parts = [pack_function(vectors, lanes), *passes, rows_function(vectors, lanes), block_function(vectors, lanes)]
    return native.compile_text(module(parts), ["block"], addresses(TRANSPOSE))["block"]


@cache
def compiled():
    """``run(plan, a, b, bias, out)``, arrays by their ids, and the columns of a panel."""
    lanes = native.target().vector_bytes // 4
    widths = panel_widths(lanes)
    blocks = {f"wengert_block{vectors}": block_address(vectors, lanes) for vectors in widths}
    return kernel([task_function(lanes)], 4, **blocks), widths[0] * lanes


def times(a, b, bias=None, out=None):
    """``a @ b + bias`` of any dimensions, or None where NumPy's BLAS does as well."""
    if a.dtype is not F32 or b.dtype is not F32 or (out is not None and out.dtype is not F32):
        return None
    if bias is not None and (bias.dtype is not F32 or bias.shape != b.shape[-1:]):
        return None
    place = None if out is None else (out.shape, out.strides)
    key = (a.shape, a.strides, b.shape, b.strides, place, threads.number())
    known = _plans.get(key)
    if known is None:
        if len(_plans) >= MOST_PLANS:
            _plans.clear()
        known = _plans[key] = plan_for(a, b, out)
    if known is DECLINED:
        return None
    if out is None:
        out = np.empty(known.shape, F32)
    if known.direct:
        run(known.numbers, a, b, bias, out)
    else:
        product(*folded(a, b), bias, out.reshape(known.folded))
    return out


class Plan(NamedTuple):
    """How to multiply matrices that lie in some way.

    Attributes:
        shape: of the result.
        folded: that in four dimensions.
        numbers: of `FIELDS`.
        direct: whether the operands are read where they lie; otherwise one of them has to be copied.
    """

    shape: tuple
    folded: tuple
    numbers: ctypes.Array
    direct: bool


DECLINED = object()
_plans: dict[tuple, object] = {}
_zeros: dict[int, np.ndarray] = {}


def plan_for(a, b, out):
    """The `Plan` for operands and a destination like these, or DECLINED."""
    depth, columns = a.shape[-1], b.shape[-1]
    rows = a.size // max(depth, 1) if b.ndim == 2 else a.shape[-2]
    if 0 in a.shape or 0 in b.shape or ((min(rows, columns) == 1 or rows * columns < FEWEST) and not FROM):
        return DECLINED
    if out is not None and (out.strides[-1] != 4 or out.ndim > 4):
        return DECLINED
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], columns)
    left, right = folded(a, b)
    whole = (*left.shape[:3], columns)
    target = np.empty(whole, F32) if out is None else out.reshape(whole)
    if out is not None and not np.may_share_memory(target, out):  # a copy, for want of such strides
        return DECLINED
    read = unit_stride(left), unit_stride(right)
    direct = all(np.may_share_memory(x, y) for x, y in zip(read, (a, b), strict=True))
    return Plan(shape, whole, numbers_for(*read, target), direct)


def folded(a, b):
    """The operands in four dimensions (N, H, rows, columns), with the same N and H."""
    if b.ndim == 2:
        return a.reshape(1, 1, -1, a.shape[-1]), b[None, None]
    outer = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if len(outer) > 2:  # batches of more dimensions in one
        return [np.broadcast_to(x, (*outer, *x.shape[-2:])).reshape(1, -1, *x.shape[-2:]) for x in (a, b)]
    whole = (1,) * (2 - len(outer)) + outer
    return [np.broadcast_to(x, (*whole, *x.shape[-2:])) for x in (a, b)]


def product(a, b, bias=None, out=None):
    """a (N, H, M, K) · b (N, H, K, P) + bias (P,), of float32, in `out` (N, H, M, P) or new memory."""
    a, b = unit_stride(a), unit_stride(b)
    if out is None:
        out = np.empty((*a.shape[:3], b.shape[3]), F32)
    run(numbers_for(a, b, out), a, b, bias, out)
    return out


def run(numbers, a, b, bias, out):
    if bias is None:
        columns = numbers[COLUMNS]
        bias = _zeros.get(columns)
        if bias is None:
            bias = _zeros[columns] = np.zeros(columns, F32)
    else:
        bias = np.ascontiguousarray(bias)
    threads.start()
    compiled()[0](numbers, id(a), id(b), id(bias), id(out))


def numbers_for(a, b, out):
    """The numbers of `FIELDS` for matrices that lie like these."""
    (groups, group, rows, depth), columns, width = a.shape, out.shape[3], compiled()[1]
    panels = -(-columns // width)
    others = groups * group * panels
    block, row_tasks = shares(others, rows)
    return plan(rows, columns, depth, block, row_tasks, panels, others * row_tasks, group, *steps(a), *steps(b),
                *steps(out)[:3])  # fmt: skip


def shares(others, rows):
    """(rows of a task, tasks along the rows) beside `others` tasks: a few for each thread, so that none waits long."""
    wanted = 1 if threads.number() == 1 else 4 * threads.number()
    number = max(1, min(-(-wanted // others), -(-rows // BLOCK)))
    if number * others < threads.number():
        number = max(1, min(-(-threads.number() // others), rows // 16))
    block = -(-rows // number)
    block += -block % ROWS
    return block, -(-rows // block)


def steps(x):
    return [stride // 4 for stride in x.strides]


def unit_stride(x):
    """`x`, or a copy if neither its rows nor its columns are contiguous."""
    row, column = x.strides[2:]
    return x if (column == 4 and row >= 4) or (row == 4 and column >= 4) else np.ascontiguousarray(x)
