"""Reductions over dimensions that are not the last: many sums side by side.

The array is seen as (outer, reduced, inner) and cut into tasks of some of the reduced rows by some of the inner
columns. A task adds its rows, a few at a time and vector by vector, into accumulators that stay in the first-level
cache, and leaves one partial result for each of its columns. The partial results, a small fraction of the array, are
combined by NumPy.
"""

import ctypes

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.assembly import COMPUTE, Body, literal
from wengert.kernels.cpu.expressions import F32, F64, HALVES, Symbol
from wengert.kernels.cpu.pointwise import MOST_PLANS, entry_text, lanes_for
from wengert.kernels.cpu.rows import START, combine

ROWS, COLUMNS = 64, 2048  # of a task, at most
TOGETHER = 4  # rows that are added to each other before an accumulator is read and written
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
    lines += [f"  %w1 = add i64 %width, {lanes - 1}", f"  %w2 = and i64 %w1, {-lanes}"]
    for k, (kind, tree) in enumerate(zip(kinds, trees, strict=True)):
        start = literal(START[kind], tree.dtype)
        constants.append(f"@start{k} = internal constant [{COLUMNS} x {elements[k]}] "
                         f"[{', '.join([f'{elements[k]} {start}'] * COLUMNS)}]")  # fmt: skip
        lines += [
            f"  %acc{k} = alloca [{COLUMNS} x {elements[k]}], align 64",
            f"  %padded{k} = mul i64 %w2, {tree.dtype.itemsize}",
            f"  call void @llvm.memcpy.p0.p0.i64(ptr %acc{k}, ptr @start{k}, i64 %padded{k}, i1 false)",
        ]  # fmt: skip
    lines += [
        "  %r_count = sub i64 %r_end, %r0", f"  %r_left = urem i64 %r_count, {TOGETHER}",
        "  %r_whole = sub i64 %r_end, %r_left", "  br label %several_rows",
    ]  # fmt: skip
    walk = (kinds, trees, leaves, dtypes, ways, lanes)
    for name, together, start, end, then in (
        ("several", TOGETHER, "%r0", "%r_whole", "single_rows"), ("single", 1, "%r_whole", "%r_end", "finish")
    ):  # fmt: skip
        more, names = rows_text(name, together, start, end, then, *walk)
        lines += more
        declared |= names
    lines += [
        "finish:",
        "  %line0 = mul i64 %outer, %row_parts", "  %line = add i64 %line0, %row_part",
        "  %first0 = mul i64 %line, %inner", "  %first = add i64 %first0, %c0",
    ]  # fmt: skip
    for k, tree in enumerate(trees):
        size = tree.dtype.itemsize
        lines += [f"  %out_at{k} = mul i64 %first, {size}",
                  f"  %out{k} = getelementptr i8, ptr %d{inputs + k}, i64 %out_at{k}",
                  f"  %bytes{k} = mul i64 %width, {size}",
                  f"  call void @llvm.memcpy.p0.p0.i64(ptr %out{k}, ptr %acc{k}, i64 %bytes{k}, i1 false)"]  # fmt: skip
    declared |= {"declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"}
    return "\n".join([
        "declare void @wengert_parallel(ptr, ptr, i64)", *sorted(declared), *constants, *lines, "  ret void",
        "}",
        *entry_text(total),
    ])  # fmt: skip


def rows_text(name, together, start, end, then, kinds, trees, leaves, dtypes, ways, lanes):
    """The loop over the rows from `start` to `end`, so many `together` before an accumulator is written again; goes on
    at the label `then`. Returns its lines and declarations.
    """
    lines = [
        f"{name}_rows:", f"  %{name}_r = phi i64 [ {start}, %{'entry' if name == 'several' else 'several_rows'} ], "
        f"[ %{name}_r_next, %{name}_end ]", f"  %{name}_more = icmp slt i64 %{name}_r, {end}",
        f"  br i1 %{name}_more, label %{name}_row, label %{then}", f"{name}_row:",
    ]  # fmt: skip
    pointers = {}
    for j in range(together):
        lines.append(f"  %{name}_r{j} = add i64 %{name}_r, {j}")
        for k in range(len(leaves)):
            pointers[j, k] = f"%{name}_p{j}_{k}"
            lines += [f"  %{name}_o{j}_{k} = mul i64 %{name}_r{j}, %sr{k}",
                      f"  {pointers[j, k]} = getelementptr i8, ptr %b{k}, i64 %{name}_o{j}_{k}"]  # fmt: skip
    bodies = []
    for number, masked in enumerate((False, True)):
        body = Body(lanes)
        body.names = 100_000 * (2 * together + number)
        index = f"%{name}_t" if masked else f"%{name}_i"
        mask = tail_mask(body, lanes, index) if masked else None
        values = [[] for _ in trees]
        for j in range(together):
            body.known = {}
            for k, (leaf, dtype, way) in enumerate(zip(leaves, dtypes, ways, strict=True)):
                at = pointers[j, k]
                loaded = body.load_one(at, dtype) if way == "scalar" else body.load(at, index, dtype, mask)
                body.known[id(leaf)] = (loaded, leaf)
            for tree, found in zip(trees, values, strict=True):
                found.append(body.value(tree))
        for k, (kind, tree, found) in enumerate(zip(kinds, trees, values, strict=True)):
            element = COMPUTE[tree.dtype]
            while len(found) > 1:
                found = [combine(body, kind, element, *pair) for pair in zip(found[::2], found[1::2], strict=True)]
            held = body.load(f"%acc{k}", index, tree.dtype)  # whole vectors: accumulators are padded
            body.store(combine(body, kind, element, held, found[0]), f"%acc{k}", index, tree.dtype)
        bodies.append(body)
    main, tail = bodies
    lines += [
        f"  br label %{name}_test", f"{name}_test:",
        f"  %{name}_i = phi i64 [ 0, %{name}_row ], [ %{name}_next, %{main.block or f'{name}_step'} ]",
        f"  %{name}_next = add i64 %{name}_i, {lanes}", f"  %{name}_whole = icmp sle i64 %{name}_next, %width",
        f"  br i1 %{name}_whole, label %{name}_step, label %{name}_rest", f"{name}_step:", *main.lines,
        f"  br label %{name}_test", f"{name}_rest:", f"  %{name}_t = phi i64 [ %{name}_i, %{name}_test ]",
        f"  %{name}_some = icmp slt i64 %{name}_t, %width",
        f"  br i1 %{name}_some, label %{name}_part, label %{name}_end", f"{name}_part:", *tail.lines,
        f"  br label %{name}_end", f"{name}_end:", f"  %{name}_r_next = add i64 %{name}_r, {together}",
        f"  br label %{name}_rows",
    ]  # fmt: skip
    return lines, main.declared | tail.declared


def tail_mask(body, lanes, index):
    short = body.let(f"trunc i64 {body.let(f'sub i64 %width, {index}')} to i32")
    places = ", ".join(f"i32 {j}" for j in range(lanes))
    return body.let(f"icmp ult <{lanes} x i32> <{places}>, {body.splat(short, 'i32')}")


class ColumnKernel:
    """Sums (or extremes) of formulas over the middle of (outer, reduced, inner).

    Args:
        kinds: for each result "sum", "prod", "max" or "min"; the partial sums are combined in float64.
        formula: symbols to a tuple of trees.
    """

    def __init__(self, kinds, formula):
        self.kinds, self.formula = kinds, formula
        self.functions, self.plans = {}, {}

    def __call__(self, outer, reduced, inner, inputs):
        """The results (outer, inner) for inputs with (outer, reduced) strides and rows of `inner` elements or one."""
        key = (outer, reduced, inner, *[(a.dtype, a.strides) for a in inputs])
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= MOST_PLANS:
                self.plans.clear()
            plan = self.plans[key] = self.planned(outer, reduced, inner, inputs)
        run, layout, shape, dtypes = plan
        results = [np.empty(shape, dtype) for dtype in dtypes]
        run(layout, *map(id, inputs), *map(id, results))
        return [REDUCE[kind](r, axis=1) if kind != "sum" else np.add.reduce(r.astype(np.float64, copy=False), axis=1)
                for kind, r in zip(self.kinds, results, strict=True)]  # fmt: skip

    def planned(self, outer, reduced, inner, inputs):
        """(function, layout, shape and dtypes of the partial results) for inputs that lie like these."""
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
        return run, (ctypes.c_int64 * len(values))(*values), (outer, parts, inner), dtypes

    def compiled(self, dtypes, ways):
        leaves = [Symbol("argument", (), F32 if t in HALVES else t) for t in dtypes]
        trees = self.formula(*leaves)
        text = column_text(self.kinds, trees, leaves, dtypes, ways)
        address = native.compile_text(text, ["loop"])["loop"]
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(dtypes) + len(trees) + 1))(address)
        return run, [t.dtype for t in trees]


REDUCE = {"sum": np.add.reduce, "prod": np.multiply.reduce, "max": np.maximum.reduce, "min": np.minimum.reduce}
