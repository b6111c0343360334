"""Running sums and products, in the place of `wengert.kernels.reductions`.

An array is seen as (outer, n, inner), the scan along n. Rows side by side (inner > 1) are added as vectors, with the
running totals of some columns in the first-level cache; a scan along the last dimension goes element by element, one
row for each task. Totals of float32 are kept in float64, as the reference keeps them.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels import reductions as reference
from wengert.kernels.cpu import threads
from wengert.kernels.cpu.expressions import F32, F64
from wengert.kernels.cpu.function import kernel, plan, task

COLUMNS = 512  # of a task
# In bytes but for the counts.
FIELDS = ("n", "inner", "step", "out_step", "outer_step", "blocks", "tasks", "out_outer_step")
STEPS = {"sum": ("fadd", 0.0), "product": ("fmul", 1.0)}


def scan_function(kind, dtype, rowwise):
    lanes = 1 if rowwise else 8
    f, field, (source, out) = task(FIELDS, 2, lanes)
    operation, start = STEPS[kind]
    size, element = dtype.itemsize, "float" if dtype == F32 else "double"
    moved = lambda pointer, count: f.op(f"getelementptr i8, ptr {pointer}, i64 {count}")
    outer, block = f.div("%task", field["blocks"]), f.rem("%task", field["blocks"])
    begin = f.mul(block, COLUMNS)
    end = f.minimum(f.add(begin, COLUMNS), field["inner"])
    source = moved(source, f.mul(outer, field["outer_step"]))
    out = moved(out, f.mul(outer, field["out_outer_step"]))
    totals = f.variable("double" if rowwise else f"[{COLUMNS} x double]")

    def some(width, first, last, body):
        if rowwise:  # one total, which stays in a register
            body(1, 0, totals)
        else:
            with f.loop(first, last, width) as column:
                body(width, column, f.op(f"getelementptr double, ptr {totals}, i64 {f.sub(column, begin)}"))

    whole = f.add(begin, f.mul(f.div(f.sub(end, begin), lanes), lanes))
    parts = ((1, begin, end),) if rowwise else ((lanes, begin, whole), (1, whole, end))

    def clear(width, column, place):
        f.do(f"store <{width} x double> splat (double {start}), ptr {place}, align 8")

    for part in parts:
        some(*part, clear)
    with f.loop(0, field["n"]) as i:
        line, to = moved(source, f.mul(i, field["step"])), moved(out, f.mul(i, field["out_step"]))

        def add(width, column, place, line=line, to=to):
            kind, wide = f"<{width} x {element}>", f"<{width} x double>"
            offset = f.mul(column, size)
            value = f.op(f"load {kind}, ptr {moved(line, offset)}, align 1")
            if dtype == F32:
                value = f.op(f"fpext {kind} {value} to {wide}")
            total = f.op(f"{operation} {wide} {f.op(f'load {wide}, ptr {place}, align 8')}, {value}")
            f.do(f"store {wide} {total}, ptr {place}, align 8")
            if dtype == F32:
                total = f.op(f"fptrunc {wide} {total} to {kind}")
            f.do(f"store {kind} {total}, ptr {moved(to, offset)}, align 1")

        for part in parts:
            some(*part, add)
    return f


@cache
def compiled(kind, dtype, rowwise):
    return kernel([scan_function(kind, dtype, rowwise)], 2)


def scan(kind, input, axis, backward=False):
    """The running totals along `axis`, from its end if `backward`; None where there is no fast form."""
    if input.dtype not in (F32, F64) or not input.size:
        return None
    shape = input.shape
    outer, n, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    flat = input.reshape(outer, n, inner)  # a copy only if the dimensions on either side can't be joined
    if inner > 1 and flat.strides[2] != input.itemsize:
        flat = np.ascontiguousarray(flat)
    result = out = np.empty((outer, n, inner), input.dtype)
    if backward:
        flat, out = flat[:, ::-1], out[:, ::-1]
    blocks = -(-inner // COLUMNS)
    numbers = (n, inner, flat.strides[1], out.strides[1], flat.strides[0], blocks, outer * blocks, out.strides[0])
    threads.start()
    run = compiled(kind, input.dtype, inner == 1)
    run(plan(*numbers), id(flat), id(out))
    return result.reshape(shape)


class cumsum_gradient:
    """Each element counts in every later sum: the running totals of what arrives, from the end."""

    @staticmethod
    def beside(fallback):
        """As called where `fallback` is the reference."""

        def run(g, dim):
            found = scan("sum", g, reference.axis_of(dim, g.ndim), backward=True) if g.ndim else None
            return fallback(g, dim) if found is None else found

        return run


def cumsum(input, dim, *, dtype=None):
    found = scan("sum", input, reference.axis_of(dim, input.ndim)) if dtype is None and input.ndim else None
    return reference.cumsum(input, dim, dtype=dtype) if found is None else found


def cumprod(input, dim, *, dtype=None):
    found = scan("product", input, reference.axis_of(dim, input.ndim)) if dtype is None and input.ndim else None
    return reference.cumprod(input, dim, dtype=dtype) if found is None else found
