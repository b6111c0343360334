"""Rows of a table, looked up and added to; and masks.

Rows are shared by threads so that the result is the same for any number of them: looking up, each thread has some of
the results; adding, some of the rows of the table, to which it adds in the order in which the values stand.
"""

import ctypes

import numpy as np

from wengert.kernels import indexing as reference
from wengert.kernels.cpu import native
from wengert.kernels.cpu.assembly import Body
from wengert.kernels.cpu.expressions import F32, F64, Symbol
from wengert.kernels.cpu.pointwise import Kernel, entry_text, lanes_for

INT64 = np.dtype(np.int64)
PARTS = 16  # of the table, when rows are added

TAKE = """
declare void @wengert_parallel(ptr, ptr, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)

; layout: bytes of a row, number of results, results of a task, three unused, tasks; arrays: table, index, out
define internal void @task(ptr %job, i64 %part) {
entry:
  %layout = load ptr, ptr %job
  %bytes = load i64, ptr %layout
  %count_p = getelementptr i64, ptr %layout, i64 1
  %count = load i64, ptr %count_p
  %each_p = getelementptr i64, ptr %layout, i64 2
  %each = load i64, ptr %each_p
  %table_p = getelementptr ptr, ptr %job, i64 1
  %table = load ptr, ptr %table_p
  %index_p = getelementptr ptr, ptr %job, i64 2
  %index = load ptr, ptr %index_p
  %out_p = getelementptr ptr, ptr %job, i64 3
  %out = load ptr, ptr %out_p
  %first = mul i64 %part, %each
  %end0 = add i64 %first, %each
  %end = call i64 @llvm.smin.i64(i64 %end0, i64 %count)
  br label %test
test:
  %i = phi i64 [ %first, %entry ], [ %next, %row ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %row, label %done
row:
  %at = getelementptr i64, ptr %index, i64 %i
  %which = load i64, ptr %at
  %from0 = mul i64 %which, %bytes
  %from = getelementptr i8, ptr %table, i64 %from0
  %to0 = mul i64 %i, %bytes
  %to = getelementptr i8, ptr %out, i64 %to0
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %bytes, i1 false)
  %next = add i64 %i, 1
  br label %test
done:
  ret void
}
"""

ADD_HEAD = """
; layout: width, number of values, rows of a part, rows, two unused, parts; arrays: index, values, table
define internal void @task(ptr %job, i64 %part) {
entry:
  %layout = load ptr, ptr %job
  %width = load i64, ptr %layout
  %count_p = getelementptr i64, ptr %layout, i64 1
  %count = load i64, ptr %count_p
  %each_p = getelementptr i64, ptr %layout, i64 2
  %each = load i64, ptr %each_p
  %index_p = getelementptr ptr, ptr %job, i64 1
  %index = load ptr, ptr %index_p
  %values_p = getelementptr ptr, ptr %job, i64 2
  %values = load ptr, ptr %values_p
  %table_p = getelementptr ptr, ptr %job, i64 3
  %table = load ptr, ptr %table_p
  %low = mul i64 %part, %each
  %high = add i64 %low, %each
  br label %value_test
value_test:
  %k = phi i64 [ 0, %entry ], [ %k_next, %value_end ]
  %k_more = icmp slt i64 %k, %count
  br i1 %k_more, label %value, label %done
value:
  %at = getelementptr i64, ptr %index, i64 %k
  %which = load i64, ptr %at
  %not_below = icmp sge i64 %which, %low
  %below = icmp slt i64 %which, %high
  %mine = and i1 %not_below, %below
  br i1 %mine, label %row, label %value_end
row:
"""


def add_text(dtype):
    """The module that adds rows of this dtype."""
    lanes = lanes_for([Symbol("argument", (), dtype)])
    size = dtype.itemsize
    lines = [f"  %row_bytes = mul i64 %width, {size}", "  %to0 = mul i64 %which, %row_bytes",
             "  %to = getelementptr i8, ptr %table, i64 %to0", "  %from0 = mul i64 %k, %row_bytes",
             "  %from = getelementptr i8, ptr %values, i64 %from0", "  br label %test", "test:",
             "  %i = phi i64 [ 0, %row ], [ %next, %step ]", f"  %next = add i64 %i, {lanes}",
             "  %whole = icmp sle i64 %next, %width", "  br i1 %whole, label %step, label %rest", "step:"]  # fmt: skip
    declared = set()
    for masked in (False, True):
        body = Body(lanes)
        body.names = 1000 if masked else 0
        mask = None
        if masked:
            lines += ["rest:", "  %some = icmp slt i64 %i, %width", "  br i1 %some, label %part_row, label %value_end",
                      "part_row:"]  # fmt: skip
            short = body.let(f"trunc i64 {body.let('sub i64 %width, %i')} to i32")
            places = ", ".join(f"i32 {j}" for j in range(lanes))
            mask = body.let(f"icmp ult <{lanes} x i32> <{places}>, {body.splat(short, 'i32')}")
        held, new = (body.load(base, "%i", dtype, mask) for base in ("%to", "%from"))
        total = body.let(f"fadd {body.type_of(dtype)} {held}, {new}")
        body.store(total, "%to", "%i", dtype, mask)
        declared |= body.declared
        lines += [*body.lines, f"  br label %{'value_end' if masked else 'test'}"]
    lines += ["value_end:", "  %k_next = add i64 %k, 1", "  br label %value_test", "done:", "  ret void", "}"]
    return "\n".join(["declare void @wengert_parallel(ptr, ptr, i64)", *sorted(declared), ADD_HEAD.rstrip("\n"),
                      *lines, *entry_text(3)])  # fmt: skip


_functions: dict[object, object] = {}


def function(key, text):
    found = _functions.get(key)
    if found is None:
        address = native.compile_text(text(), ["loop"])["loop"]
        found = _functions[key] = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(address)
    return found


def run(key, text, layout, *arrays):
    values = (ctypes.c_int64 * 7)(*layout)
    function(key, text)(ctypes.addressof(values), *map(id, arrays))


def take_rows(weight, indices, padding_idx=-1, scale_grad_by_freq=False):
    """The rows of a table that `indices`, known to lie within, name."""
    index = np.ascontiguousarray(indices, np.int64).reshape(-1)
    if not weight.flags.c_contiguous or weight.ndim != 2 or not index.size or not weight.size:
        return weight.take(indices, 0)
    out = np.empty((*indices.shape, weight.shape[1]), weight.dtype)
    row = weight.shape[1] * weight.dtype.itemsize
    each = max(1, (1 << 16) // row)
    run("take", lambda: "\n".join([TAKE, *entry_text(3)]), (row, index.size, each, 0, 0, 0, -(-index.size // each)),
        weight, index, out)  # fmt: skip
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
    run(target.dtype, lambda: add_text(target.dtype), (target[0].size, len(index), each, len(target), 0, 0, PARTS),
        index, values, target)  # fmt: skip


FILL = Kernel("masked_fill", lambda input, mask, value: np.where(mask, value, input))


def masked_fill(input, mask, value):
    value = np.asarray(value)
    plain = mask.dtype == bool and value.ndim == 0 and input.flags.c_contiguous
    if not plain or (mask.shape != input.shape and np.broadcast_shapes(mask.shape, input.shape) != input.shape):
        return reference.masked_fill.reference(input, mask, value)
    return FILL(input, mask, value.astype(input.dtype, copy=False))
