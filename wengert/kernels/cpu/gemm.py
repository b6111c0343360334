"""Products of large matrices in single precision: out = a · b, plus a bias for each column.

The right-hand matrix is first copied into panels of four vectors' width, so that the inner loop reads it without gaps,
however it lies in memory (a weight is used transposed, in `linear`). Then each task takes one panel and a block of rows
(Goto and van de Geijn 2008). Depth is cut so that the part of a panel in use stays in the second-level cache.
"""

import ctypes
from functools import cache

import numpy as np

from wengert.kernels.cpu import native, threads
from wengert.kernels.cpu.function import Fields, Function, module
from wengert.kernels.cpu.products import ROWS, accumulate, transpose_function

VECTORS = 4  # of a panel's width
DEPTH = 512  # of a panel at a time
BLOCK = 64  # rows of a task

FIELDS = ("rows", "columns", "depth", "a", "a_row", "a_depth", "b", "b_depth", "b_column", "panels", "out", "out_row",
          "bias", "row_blocks")  # fmt: skip


def pack_function(lanes):
    """A task copies one panel: columns ``panel·width …`` of b, zeros where they run out."""
    f = Function("@@pack", "ptr argument, i64 panel", lanes, internal=False)
    field, width = Fields(f, FIELDS), VECTORS * lanes
    first, depth = f.mul("%panel", width), field["depth"]
    count = f.minimum(f.sub(field["columns"], first), width)
    to = f.at(field.pointer("panels"), f.mul(first, depth))
    source = f.at(field.pointer("b"), f.mul(first, field["b_column"]))
    partial = f.op(f"icmp slt i64 {count}, {width}")
    size = f.mul(f.mul(depth, width), 4)
    f.where(partial, lambda: f.do(f"call void @llvm.memset.p0.i64(ptr align 4 {to}, i8 0, i64 {size}, i1 false)"))
    step = field["b_depth"]

    def by_rows():
        masks = [f.first(f.sub(count, v * lanes)) for v in range(VECTORS)]
        with f.loop(0, depth) as k:
            line, there = f.at(source, f.mul(k, step)), f.at(to, f.mul(k, width))
            for v, mask in enumerate(masks):
                f.store(f.load_some(f.at(line, v * lanes), mask), f.at(there, v * lanes))

    def by_columns():
        across = field["b_column"]
        f.do(f"call void @transpose(ptr {source}, i64 {across}, ptr {to}, i64 {width}, i64 {count}, i64 {depth})")

    f.where(f.op(f"icmp eq i64 {field['b_column']}, 1"), by_rows, by_columns)
    return f


def multiply_function(lanes):
    """A task computes `BLOCK` rows of one panel's columns."""
    f = Function("@@multiply", "ptr argument, i64 task", lanes, internal=False)
    field, width = Fields(f, FIELDS), VECTORS * lanes
    panel, block = f.div("%task", field["row_blocks"]), f.rem("%task", field["row_blocks"])
    depth, a_row, a_depth, out_row = (field[k] for k in ("depth", "a_row", "a_depth", "out_row"))
    first = f.mul(block, BLOCK)
    last = f.minimum(f.add(first, BLOCK), field["rows"])
    whole = f.add(first, f.mul(f.div(f.sub(last, first), ROWS), ROWS))
    column = f.mul(panel, width)
    masks = [f.first(f.sub(f.sub(field["columns"], column), v * lanes)) for v in range(VECTORS)]
    packed = f.at(field.pointer("panels"), f.mul(column, depth))
    a, out = field.pointer("a"), f.at(field.pointer("out"), column)
    bias = f.at(field.pointer("bias"), column)
    with f.loop(0, depth, DEPTH) as start:
        part = f.minimum(f.sub(depth, start), DEPTH)
        panel_part, a_part = f.at(packed, f.mul(start, width)), f.at(a, f.mul(start, a_depth))
        fresh = f.op(f"icmp eq i64 {start}, 0")
        for begin, end, count in ((first, whole, ROWS), (whole, last, 1)):
            with f.loop(begin, end, count) as row:
                places = {(r, v): f.at(out, f.mul(f.add(row, r), out_row), v * lanes)
                          for r in range(count) for v in range(VECTORS)}  # fmt: skip
                sums = {k: f.variable() for k in places}
                for (r, v), place in places.items():
                    begun = f.op(f"select i1 {fresh}, ptr {f.at(bias, v * lanes)}, ptr {place}")
                    f.store(f.load_some(begun, masks[v]), sums[r, v])
                left = f.at(a_part, f.mul(row, a_row))
                accumulate(f, sums, left, a_row, a_depth, panel_part, width, part)
                for (r, v), place in places.items():
                    f.store_some(f.load(sums[r, v]), place, masks[v])
    return f


@cache
def compiled():
    """The addresses of the two tasks, and the number of lanes."""
    lanes = native.target().vector_bytes // 4
    functions = [transpose_function("@transpose", lanes), pack_function(lanes), multiply_function(lanes)]
    return native.compile_text(module(functions), ["pack", "multiply"]), lanes


@cache
def parallel():
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return kind(native.runtime().addresses["wengert_parallel"])


def product(a, b, bias=None):
    """a (M, K) · b (K, N) + bias (N,), or None where NumPy's BLAS does as well: few rows, few columns, other dtypes."""
    (rows, depth), columns = a.shape, b.shape[1]
    if rows < 16 or columns < 32 or depth < 16 or not a.dtype == b.dtype == np.float32:
        return None
    if bias is not None and (bias.dtype != np.float32 or bias.shape != (columns,)):
        return None
    a, b = unit_stride(a), unit_stride(b)
    addresses, lanes = compiled()
    width = VECTORS * lanes
    count = -(-columns // width)
    bias = np.zeros(columns, np.float32) if bias is None else np.ascontiguousarray(bias)
    out, panels = np.empty((rows, columns), np.float32), np.empty(count * width * depth, np.float32)
    blocks = -(-rows // BLOCK)
    numbers = (rows, columns, depth, a.ctypes.data, a.strides[0] // 4, a.strides[1] // 4, b.ctypes.data,
               b.strides[0] // 4, b.strides[1] // 4, panels.ctypes.data, out.ctypes.data, columns, bias.ctypes.data,
               blocks)  # fmt: skip
    argument = (ctypes.c_int64 * len(numbers))(*numbers)
    threads.start()
    address = ctypes.addressof(argument)
    parallel()(addresses["pack"], address, count)
    parallel()(addresses["multiply"], address, count * blocks)
    return out


def unit_stride(x):
    """`x`, or a copy if neither its rows nor its columns are contiguous."""
    steps = x.strides
    return x if (steps[1] == 4 and steps[0] >= 4) or (steps[0] == 4 and steps[1] >= 4) else np.ascontiguousarray(x)
