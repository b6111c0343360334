"""Row-wise kernels: softmax, normalization, losses and reductions along the last dimension.

A row program says what to do with one row, in terms of its elements:

    def softmax(row, x):
        e = row.keep(exp(x - row.max(x)))
        row.store(e / row.sum(e))

`row.max` and `row.sum` are numbers of the whole row; what depends on them needs another pass over it. The passes follow
from that: the program is recorded once, each reduction and each store put into the earliest pass that it can be in, and
the passes written as vector loops that share a row while it is in the cache. Rows are spread over the threads.

Sums of float32 are gathered in float64, so their error doesn't grow with the length of the row.
"""

import ctypes
from math import prod

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.assembly import COMPUTE, Body, literal
from wengert.kernels.cpu.expressions import F32, F64, HALVES, SUPPORTED, Symbol, Unrecordable, cast, in_order
from wengert.kernels.cpu.pointwise import DEPTH, MOST_PLANS, TASK, Layout, entry_text, lanes_for, task_text

START = {"sum": 0.0, "max": float("-inf"), "min": float("inf")}


class Row:
    """Records a row program."""

    def __init__(self, outputs):
        self.outputs = outputs  # dtypes
        self.reductions, self.stores, self.numbers = [], [], []
        self.length = Symbol("length", (), F64)

    def reduced(self, kind, tree, dtype):
        node = Symbol("row", (cast(tree, dtype),), dtype, kind)
        self.reductions.append(node)
        return node

    def sum(self, tree, wide=False):
        """The sum over the row, as float64 if `wide`, else in the dtype of the elements."""
        total = self.reduced("sum", tree, F64)
        return total if wide else cast(total, tree.dtype)

    def max(self, tree):
        """The largest element; NaN if there is one."""
        return self.reduced("max", tree, tree.dtype)

    def min(self, tree):
        return self.reduced("min", tree, tree.dtype)

    def store(self, tree, output=0):
        """Write each element to an output."""
        dtype = self.outputs[output]
        node = Symbol("stored", (cast(tree, F32 if dtype in HALVES else dtype),), tree.dtype, output)
        self.stores.append(node)
        return node

    def keep(self, tree, output=0):
        """`tree`, which later passes need not compute again: it waits in an output that they will overwrite (unless
        that would round it).
        """
        return tree if self.outputs[output] in HALVES else self.store(tree, output)

    def number(self, tree, output):
        """Write a number of the row to an output that has one element for each row."""
        self.numbers.append((cast(tree, self.outputs[output]), output))


def levels_of(nodes):
    """The pass in which each node can be computed: one after that of the reductions that it needs."""
    found = {}
    for node in in_order(nodes):
        found[id(node)] = max((found[id(a)] for a in node.args), default=0) + (node.op == "row")
    return found


def combine(body, kind, element, held, new, lanes=None):
    """Two vectors of partial results as one."""
    vector = f"<{lanes or body.lanes} x {element}>"
    flags = f"<{lanes or body.lanes} x i1>"
    if kind == "sum":
        return body.let(f"fadd {vector} {held}, {new}")
    # Unordered or greater: NaN wins, once it is held nothing replaces it.
    nan = body.let(f"fcmp uno {vector} {new}, {new}")
    better = body.let(f"fcmp {'ogt' if kind == 'max' else 'olt'} {vector} {new}, {held}")
    taken = body.let(f"or {flags} {nan}, {better}")
    return body.let(f"select {flags} {taken}, {vector} {new}, {vector} {held}")


def across(body, kind, dtype, name):
    """The result of all lanes, in all lanes."""
    element, lanes = COMPUTE[dtype], body.lanes
    while lanes > 1:
        half = lanes // 2
        parts = []
        for start in (0, half):
            picks = ", ".join(f"i32 {start + j}" for j in range(half))
            vector = f"<{lanes} x {element}>"
            parts.append(body.let(f"shufflevector {vector} {name}, {vector} poison, <{half} x i32> <{picks}>"))
        name = combine(body, kind, element, *parts, lanes=half)
        lanes = half
    scalar = body.let(f"extractelement <1 x {element}> {name}, i64 0")
    return body.splat(scalar, element)


UNROLLED = 4  # vectors of a long row that a pass treats at once, so that no sum waits for the one before
LONG = 256


def row_text(row, leaves, dtypes, ways, outputs, vectors):
    """The function ``inner(lo, hi, pointers, strides)`` that runs a row program on one row, so many vectors at a time,
    and its declarations.
    """
    count, total = len(leaves), len(leaves) + len(outputs)
    every = [*row.reductions, *row.stores, *[tree for tree, _ in row.numbers]]
    levels = levels_of(every)
    lanes = vectors * lanes_for([a for node in (*row.reductions, *row.stores) for a in narrow(node)])
    body = Body(lanes)
    body.block = "entry"
    for k, (leaf, dtype, way) in enumerate(zip(leaves, dtypes, ways, strict=True)):
        if way == "scalar":
            body.known[id(leaf)] = (body.load_one(f"%p{k}", dtype), leaf)
    body.known[id(row.length)] = (body.splat(body.let("sitofp i64 %hi to double"), "double"), row.length)
    passes = [levels[id(node)] - 1 for node in row.reductions] + [levels[id(node)] for node in row.stores]
    last = max(passes, default=-1)
    for level in range(last + 1):
        reductions = [n for n in row.reductions if levels[id(n)] - 1 == level]
        stores = [n for n in row.stores if levels[id(n)] == level]
        write_pass(body, level, reductions, stores, leaves, dtypes, ways, outputs, count, row.stores)
    for tree, output in row.numbers:
        element = COMPUTE[outputs[output]]
        value = body.let(f"extractelement {body.vector(element)} {body.value(tree)}, i64 0")
        body.line(f"store {element} {value}, ptr %p{count + output}, align 1")
    pointers = ", ".join(f"ptr %p{k}" for k in range(total))
    strides = ", ".join(f"i64 %s{k}" for k in range(total))
    lines = [f"define internal void @inner(i64 %lo, i64 %hi, {pointers}, {strides}) {{", "entry:", *body.lines,
             "  ret void", "}"]  # fmt: skip
    return lines, body.declared


def narrow(node):
    """The part of a tree that is computed for each element, not in float64 for the whole row."""
    tree = node.args[0]
    return (tree.args[0],) if tree.op == "cast" and tree.dtype == F64 else (tree,)


def write_pass(body, level, reductions, stores, leaves, dtypes, ways, outputs, count, all_stores):
    """One loop over the row: the reductions and stores of a level."""
    lanes = body.lanes
    before, outer_known = body.block, dict(body.known)
    kinds = [(node, body.type_of(node.dtype)) for node in reductions]
    starts = [f"splat ({COMPUTE[n.dtype]} {literal(START[n.value], n.dtype)})" for n in reductions]
    names = [f"%acc{level}_{k}" for k in range(len(reductions))]
    index, following = f"%i{level}", f"%next{level}"
    label = f"pass{level}"
    body.line(f"br label %{label}")
    body.lines.append(f"{label}:")
    body.block = f"{label}_step"
    head = len(body.lines)
    # The loop's phis need to know where it ends, so they are put in afterwards.
    body.line(f"%whole{level} = icmp sle i64 {following}, %hi")
    body.line(f"br i1 %whole{level}, label %{label}_step, label %{label}_rest")
    body.lines.append(f"{label}_step:")
    arguments = (reductions, stores, leaves, dtypes, ways, outputs, count, all_stores)
    results = step(body, index, None, names, *arguments)
    latch = body.block
    body.line(f"br label %{label}")
    phis = [f"  {index} = phi i64 [ %lo, %{before} ], [ {following}, %{latch} ]",
            f"  {following} = add i64 {index}, {lanes}"]  # fmt: skip
    phis[1:1] = [f"  {name} = phi {kind} [ {start}, %{before} ], [ {result}, %{latch} ]"
                 for name, (_, kind), start, result in zip(names, kinds, starts, results, strict=True)]  # fmt: skip
    body.lines[head:head] = phis
    body.lines.append(f"{label}_rest:")
    body.known = dict(outer_known)
    body.line(f"%some{level} = icmp slt i64 {index}, %hi")
    body.line(f"br i1 %some{level}, label %{label}_part, label %{label}_end")
    body.lines.append(f"{label}_part:")
    body.block = f"{label}_part"
    short = body.let(f"trunc i64 {body.let(f'sub i64 %hi, {index}')} to i32")
    places = ", ".join(f"i32 {j}" for j in range(lanes))
    mask = body.let(f"icmp ult <{lanes} x i32> <{places}>, {body.splat(short, 'i32')}")
    tails = step(body, index, mask, names, *arguments)
    part = body.block
    body.line(f"br label %{label}_end")
    body.lines.append(f"{label}_end:")
    body.block = f"{label}_end"
    body.known = dict(outer_known)
    finals = [body.let(f"phi {kind} [ {name}, %{label}_rest ], [ {tail}, %{part} ]")
              for name, tail, (_, kind) in zip(names, tails, kinds, strict=True)]  # fmt: skip
    for final, node in zip(finals, reductions, strict=True):
        body.known[id(node)] = (across(body, node.value, node.dtype, final), node)


def step(body, index, mask, names, reductions, stores, leaves, dtypes, ways, outputs, count, all_stores):
    """The lines for one vector of elements; returns the new partial results."""
    for k, (leaf, dtype, way) in enumerate(zip(leaves, dtypes, ways, strict=True)):
        if way == "vector":
            body.known[id(leaf)] = (Pending(body.load, f"%p{k}", index, dtype, mask), leaf)
        elif way == "gather":
            body.known[id(leaf)] = (Pending(body.gather, f"%p{k}", index, f"%s{k}", dtype, mask), leaf)
    for node in all_stores:
        if not any(node is written for written in stores):  # by an earlier pass
            place = count + node.value
            body.known[id(node)] = (Pending(body.load, f"%p{place}", index, outputs[node.value], mask), node)
    for node in stores:
        value = body.value(node.args[0])
        body.known[id(node)] = (value, node)
        body.store(value, f"%p{count + node.value}", index, outputs[node.value], mask)
    results = []
    for name, node in zip(names, reductions, strict=True):
        value = body.value(node.args[0])
        kind = body.type_of(node.dtype)
        if mask is not None:
            neutral = f"splat ({COMPUTE[node.dtype]} {literal(START[node.value], node.dtype)})"
            value = body.let(f"select {body.vector('i1')} {mask}, {kind} {value}, {kind} {neutral}")
        results.append(combine(body, node.value, COMPUTE[node.dtype], name, value))
    return results


class Pending:
    """A load that is written down when its value is first needed."""

    def __init__(self, load, *arguments):
        self.load, self.arguments = load, arguments
        self.name = None

    def __str__(self):
        if self.name is None:
            self.name = self.load(*self.arguments)
        return self.name


class RowLayout(Layout):
    """Rows along the last dimension; all others are outer."""

    def __init__(self, shape, strides, sizes):
        super().__init__(shape[:-1], [s[:-1] for s in strides], sizes)
        if self.inner != 1 or any(self.steps):
            self.outer.append((self.inner, self.steps))
        self.rows = prod(n for n, _ in self.outer)
        self.inner = shape[-1]
        self.steps = tuple(s[-1] for s in strides)
        self.ways = tuple("scalar" if s == 0 else "vector" if s == size else "gather"
                          for s, size in zip(self.steps, sizes, strict=True))  # fmt: skip

    def packed(self):
        total = len(self.steps)
        each = max(1, TASK // max(self.inner, 1))
        tasks = -(-self.rows // each)
        header = [self.rows, self.inner, each, self.inner, 1, len(self.outer), tasks]
        extents = [n for n, _ in self.outer] + [0] * (DEPTH - len(self.outer))
        strides = []
        for k in range(total):
            strides += [steps[k] for _, steps in self.outer] + [0] * (DEPTH - len(self.outer))
        values = [*header, *extents, *strides, *self.steps]
        return (ctypes.c_int64 * len(values))(*values)


class RowKernel:
    """A row program, compiled for the dtypes and layouts that it meets.

    ``kernel(shape, inputs, outputs)``: inputs broadcast to `shape`, whose last dimension is the row; outputs have that
    shape, or 1 for the last dimension. False if the arrays can't be walked.
    """

    def __init__(self, name, program):
        self.name, self.program = name, program
        self.plans, self.functions = {}, {}

    def __call__(self, shape, inputs, outputs):
        key = (shape, *[(a.dtype, a.shape, a.strides) for a in (*inputs, *outputs)])
        plan = self.plans.get(key)
        if plan is None:
            try:
                plan = self.plan_for(shape, inputs, outputs)
            except Unrecordable:
                plan = False
            if len(self.plans) >= MOST_PLANS:
                self.plans.clear()
            self.plans[key] = plan
        if plan is False:
            return False
        run, layout = plan
        run(ctypes.addressof(layout), *[id(a) for a in inputs], *[id(a) for a in outputs])
        return True

    def plan_for(self, shape, inputs, outputs):
        for a in (*inputs, *outputs):
            if a.dtype not in SUPPORTED or not a.dtype.isnative:
                raise Unrecordable(f"dtype {a.dtype}")
        if not prod(shape):
            raise Unrecordable("no element")
        walk = [np.broadcast_to(a, shape).strides for a in inputs]
        walk += [a.strides if a.shape == shape else (*a.strides[:-1], 0) for a in outputs]
        layout = RowLayout(shape, walk, [a.dtype.itemsize for a in (*inputs, *outputs)])
        if len(layout.outer) > DEPTH:
            raise Unrecordable("too many dimensions")
        ways = layout.ways[: len(inputs)]
        if "gather" in layout.ways[len(inputs) :]:
            raise Unrecordable("a result with gaps")
        dtypes, results = [a.dtype for a in inputs], [a.dtype for a in outputs]
        vectors = UNROLLED if shape[-1] >= LONG else 1
        key = (*dtypes, *results, *ways, vectors)
        run = self.functions.get(key)
        if run is None:
            run = self.functions[key] = self.compiled(dtypes, ways, results, vectors)
        return run, layout.packed()

    def compiled(self, dtypes, ways, results, vectors):
        row = Row(results)
        leaves = [Symbol("argument", (), F32 if t in HALVES else t) for t in dtypes]
        self.program(row, *leaves)
        lines, declared = row_text(row, leaves, dtypes, ways, results, vectors)
        total = len(dtypes) + len(results)
        declared = sorted(declared | {"declare i64 @llvm.smin.i64(i64, i64)"})
        text = "\n".join([
            "declare void @wengert_parallel(ptr, ptr, i64)", *declared, *lines, *task_text(total, ways),
            *entry_text(total),
        ])  # fmt: skip
        address = native.compile_text(text, ["loop"])["loop"]
        return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (total + 1))(address)
