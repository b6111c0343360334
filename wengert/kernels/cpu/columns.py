"""Reductions over dimensions that are not the last: many sums side by side.

The array is seen as (outer, reduced, inner) and cut into tasks of some of the reduced rows by some of the inner
columns. A task adds its rows, vector by vector, into accumulators that stay in the first-level cache, and leaves one
partial result for each of its columns. The partial results, a small fraction of the array, are combined by NumPy.
"""

import ctypes

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.assembly import COMPUTE, Body, literal
from wengert.kernels.cpu.expressions import F32, F64, HALVES, Symbol
from wengert.kernels.cpu.pointwise import entry_text, lanes_for
from wengert.kernels.cpu.rows import START, combine

ROWS, COLUMNS = 64, 2048  # of a task, at most
HEADER = 8  # reduced, inner, rows of a task, parts of the rows, parts of the columns, (unused), tasks, (unused)


def column_text(kinds, trees, leaves, dtypes, ways):
    """The module: entry ``loop(layout, inputs..., outputs...)``, outputs (outer, parts of rows, inner) of each tree."""
    inputs, total = len(leaves), len(leaves) + len(trees)
    lanes = lanes_for([t.args[0] if t.op == "cast" and t.dtype == F64 else t for t in trees])
    elements = [COMPUTE[t.dtype] for t in trees]
    declared, constants = {"declare i64 @llvm.smin.i64(i64, i64)"}, []
    lines = ["define internal void @task(ptr %job, i64 %index) {", "entry:", "  %layout = load ptr, ptr %job"]
    add = lines.append

    def field(name, place):
        add(f"  %{name}_p = getelementptr i64, ptr %layout, i64 {place}")
        add(f"  %{name} = load i64, ptr %{name}_p")

    for place, name in ((0, "reduced"), (1, "inner"), (2, "rows_each"), (3, "row_parts"), (4, "column_parts")):
        field(name, place)
    for k in range(total):
        add(f"  %d{k}_p = getelementptr ptr, ptr %job, i64 {k + 1}")
        add(f"  %d{k} = load ptr, ptr %d{k}_p")
    for k in range(inputs):
        field(f"so{k}", HEADER + 2 * k)
        field(f"sr{k}", HEADER + 2 * k + 1)
    lines += [
        "  %column_part = urem i64 %index, %column_parts", "  %others = udiv i64 %index, %column_parts",
        "  %row_part = urem i64 %others, %row_parts", "  %outer = udiv i64 %others, %row_parts",
        f"  %c0 = mul i64 %column_part, {COLUMNS}", f"  %c1 = add i64 %c0, {COLUMNS}",
        "  %c_end = call i64 @llvm.smin.i64(i64 %c1, i64 %inner)", "  %width = sub i64 %c_end, %c0",
        "  %r0 = mul i64 %row_part, %rows_each", "  %r1 = add i64 %r0, %rows_each",
        "  %r_end = call i64 @llvm.smin.i64(i64 %r1, i64 %reduced)",
    ]  # fmt: skip
    for k in range(inputs):
        step = dtypes[k].itemsize if ways[k] == "vector" else 0
        lines += [
            f"  %oo{k} = mul i64 %outer, %so{k}", f"  %oc{k} = mul i64 %c0, {step}",
            f"  %oi{k} = add i64 %oo{k}, %oc{k}", f"  %b{k} = getelementptr i8, ptr %d{k}, i64 %oi{k}",
        ]  # fmt: skip
    for k, (kind, tree) in enumerate(zip(kinds, trees, strict=True)):
        start, size = literal(START[kind], tree.dtype), COLUMNS * tree.dtype.itemsize
        constants.append(f"@start{k} = internal constant [{COLUMNS} x {elements[k]}] "
                         f"[{', '.join([f'{elements[k]} {start}'] * COLUMNS)}]")  # fmt: skip
        lines += [
            f"  %acc{k} = alloca [{COLUMNS} x {elements[k]}], align 64",
            f"  call void @llvm.memcpy.p0.p0.i64(ptr %acc{k}, ptr @start{k}, i64 {size}, i1 false)",
        ]  # fmt: skip
    lines += ["  br label %row_test", "row_test:", "  %r = phi i64 [ %r0, %entry ], [ %r_next, %row_end ]",
              "  %r_more = icmp slt i64 %r, %r_end", "  br i1 %r_more, label %row, label %finish", "row:"]  # fmt: skip
    for k in range(inputs):
        lines += [f"  %or{k} = mul i64 %r, %sr{k}", f"  %p{k} = getelementptr i8, ptr %b{k}, i64 %or{k}"]
    bodies = []
    for masked in (False, True):
        body = Body(lanes)
        body.names = 100_000 if masked else 0
        index = "%t" if masked else "%i"
        mask = tail_mask(body, lanes) if masked else None
        for k, (leaf, dtype, way) in enumerate(zip(leaves, dtypes, ways, strict=True)):
            if way == "scalar":
                body.known[id(leaf)] = (body.load_one(f"%p{k}", dtype), leaf)
            else:
                body.known[id(leaf)] = (body.load(f"%p{k}", index, dtype, mask), leaf)
        for k, (kind, tree) in enumerate(zip(kinds, trees, strict=True)):
            held = body.load(f"%acc{k}", index, tree.dtype)  # whole vectors: accumulators are padded
            value = body.value(tree)
            body.store(combine(body, kind, elements[k], held, value), f"%acc{k}", index, tree.dtype)
        bodies.append(body)
    main, tail = bodies
    lines += [
        "  br label %test", "test:", f"  %i = phi i64 [ 0, %row ], [ %next, %{main.block or 'step'} ]",
        f"  %next = add i64 %i, {lanes}", "  %whole = icmp sle i64 %next, %width",
        "  br i1 %whole, label %step, label %more", "step:", *main.lines, "  br label %test",
        "more:", "  %t = phi i64 [ %i, %test ]", "  %some = icmp slt i64 %t, %width",
        "  br i1 %some, label %part, label %row_end", "part:", *tail.lines, "  br label %row_end",
        "row_end:", "  %r_next = add i64 %r, 1", "  br label %row_test", "finish:",
        "  %line0 = mul i64 %outer, %row_parts", "  %line = add i64 %line0, %row_part",
        "  %first0 = mul i64 %line, %inner", "  %first = add i64 %first0, %c0",
    ]  # fmt: skip
    for k, tree in enumerate(trees):
        size = tree.dtype.itemsize
        lines += [f"  %out_at{k} = mul i64 %first, {size}",
                  f"  %out{k} = getelementptr i8, ptr %d{inputs + k}, i64 %out_at{k}",
                  f"  %bytes{k} = mul i64 %width, {size}",
                  f"  call void @llvm.memcpy.p0.p0.i64(ptr %out{k}, ptr %acc{k}, i64 %bytes{k}, i1 false)"]  # fmt: skip
    declared |= main.declared | tail.declared | {"declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"}
    return "\n".join([
        "declare void @wengert_parallel(ptr, ptr, i64)", *sorted(declared), *constants, *lines, "  ret void",
        "}",
        *entry_text(total),
    ])  # fmt: skip


def tail_mask(body, lanes):
    short = body.let(f"trunc i64 {body.let('sub i64 %width, %t')} to i32")
    places = ", ".join(f"i32 {j}" for j in range(lanes))
    return body.let(f"icmp ult <{lanes} x i32> <{places}>, {body.splat(short, 'i32')}")


class ColumnKernel:
    """Sums (or extremes) of formulas over the middle of (outer, reduced, inner).

    Args:
        kinds: for each result "sum", "max" or "min"; the partial sums are combined in float64.
        formula: symbols to a tuple of trees.
    """

    def __init__(self, kinds, formula):
        self.kinds, self.formula = kinds, formula
        self.functions = {}

    def __call__(self, outer, reduced, inner, inputs):
        """The results (outer, inner) for inputs with (outer, reduced) strides and rows of `inner` elements or one."""
        ways = tuple("scalar" if a.strides[2] == 0 else "vector" for a in inputs)
        key = (ways, *[a.dtype for a in inputs])
        found = self.functions.get(key)
        if found is None:
            found = self.functions[key] = self.compiled([a.dtype for a in inputs], ways)
        run, dtypes = found
        # Enough tasks for all threads, and rows enough in each for the partial results to be few.
        rows = min(ROWS, max(8, -(-reduced // 16)))
        parts, across = -(-reduced // rows), -(-inner // COLUMNS)
        values = [reduced, inner, rows, parts, across, 0, outer * parts * across, 0]
        for a in inputs:
            values += a.strides[:2]
        layout = (ctypes.c_int64 * len(values))(*values)
        results = [np.empty((outer, parts, inner), dtype) for dtype in dtypes]
        run(ctypes.addressof(layout), *[id(a) for a in inputs], *[id(r) for r in results])
        return [REDUCE[kind](r, axis=1) if kind != "sum" else np.add.reduce(r.astype(np.float64, copy=False), axis=1)
                for kind, r in zip(self.kinds, results, strict=True)]  # fmt: skip

    def compiled(self, dtypes, ways):
        leaves = [Symbol("argument", (), F32 if t in HALVES else t) for t in dtypes]
        trees = self.formula(*leaves)
        text = column_text(self.kinds, trees, leaves, dtypes, ways)
        address = native.compile_text(text, ["loop"])["loop"]
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(dtypes) + len(trees) + 1))(address)
        return run, [t.dtype for t in trees]


REDUCE = {"sum": np.add.reduce, "max": np.maximum.reduce, "min": np.minimum.reduce}
