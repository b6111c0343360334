"""Row-wise kernels: softmax, normalization, losses and reductions along the last dimension.

A row program says what to do with one row, in terms of its elements:

    def softmax(row, x):
        e = row.keep(exp(x - row.max(x)))
        row.store(e / row.sum(e))

`row.max` and `row.sum` are numbers of the whole row; what depends on them needs another pass over it. The passes follow
from that: the program is recorded once, each reduction and each store put into the earliest pass that it can be in, and
the passes written as vector loops that share a row while it is in the cache. Rows are spread over the threads.

Sums of float32 are gathered in float64, a few neighbours at a time, so their error doesn't grow with the length of the
row.

A program may also leave sums over rows, element by element (the gradient of a weight that all rows share):

    row.add(g * x, output)

Such an output has one line for so many rows of the array; the rows of a line are one task, and follow each other.
"""

import ctypes
from functools import partial
from math import prod

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.assembly import COMPUTE, Body, literal
from wengert.kernels.cpu.expressions import F32, F64, HALVES, SUPPORTED, Symbol, Unrecordable, cast, in_order
from wengert.kernels.cpu.pointwise import DEPTH, MOST_PLANS, TASK, Layout, entry_text, lanes_for, task_text
from wengert.kernels.cpu.streaming import Streaming

ARITHMETIC = {"sum": "fadd", "prod": "fmul"}
START = {"sum": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf"), "peak": float("-inf")}


class Row:
    """Records a row program."""

    def __init__(self, outputs, short):
        self.outputs, self.short = outputs, short  # dtypes; whether a row is at most `SHORT` elements
        self.kept = []
        self.reductions, self.stores, self.additions, self.numbers = [], [], [], []
        self.length = Symbol("length", (), F64)

    def reduced(self, kind, tree, dtype):
        node = Symbol("row", (cast(tree, dtype),), dtype, kind)
        self.reductions.append(node)
        return node

    def sum(self, tree, wide=False):
        """The sum over the row, as float64 if `wide`, else in the dtype of the elements."""
        total = self.reduced("sum", tree, F64)
        return total if wide else cast(total, tree.dtype)

    def prod(self, tree):
        return self.reduced("prod", tree, tree.dtype)

    def max(self, tree):
        """The largest element; NaN if there is one."""
        return self.reduced("max", tree, tree.dtype)

    def min(self, tree):
        return self.reduced("min", tree, tree.dtype)

    def peak(self, tree):
        """The largest element that is a number, where a NaN comes to light by itself: half the work of `max`."""
        return self.reduced("peak", tree, tree.dtype)

    def store(self, tree, output=0):
        """Write each element to an output."""
        dtype = self.outputs[output]
        node = Symbol("stored", (cast(tree, F32 if dtype in HALVES else dtype),), tree.dtype, output)
        self.stores.append(node)
        return node

    def keep(self, tree, output=0):
        """`tree`, which later passes need not compute again: it waits beside the row if that is short, else in an
        output that they will overwrite (unless that would round it).
        """
        if self.short:
            self.kept.append(Symbol("kept", (tree,), tree.dtype, len(self.kept)))
            return self.kept[-1]
        return tree if self.outputs[output] in HALVES else self.store(tree, output)

    def add(self, tree, output):
        """Add each element to an output whose lines are shared by rows."""
        self.additions.append(Symbol("added", (cast(tree, self.outputs[output]),), tree.dtype, output))

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
    if kind in ARITHMETIC:
        return body.let(f"{ARITHMETIC[kind]} {vector} {held}, {new}")
    if kind == "peak":
        greater = body.let(f"fcmp ogt {vector} {new}, {held}")
        return body.let(f"select {flags} {greater}, {vector} {new}, {vector} {held}")
    # Unordered or greater: NaN wins, once it is held nothing replaces it.
    nan = body.let(f"fcmp uno {vector} {new}, {new}")
    better = body.let(f"fcmp {'ogt' if kind == 'max' else 'olt'} {vector} {new}, {held}")
    taken = body.let(f"or {flags} {nan}, {better}")
    return body.let(f"select {flags} {taken}, {vector} {new}, {vector} {held}")


def folded(body, kind, element, name, lanes, few):
    """A vector of `lanes` partial results as one of `few`."""
    while lanes > few:
        half = lanes // 2
        parts = []
        for start in (0, half):
            picks = ", ".join(f"i32 {start + j}" for j in range(half))
            vector = f"<{lanes} x {element}>"
            parts.append(body.let(f"shufflevector {vector} {name}, {vector} poison, <{half} x i32> <{picks}>"))
        name = combine(body, kind, element, *parts, lanes=half)
        lanes = half
    return name


def across(body, node, name):
    """The result of all lanes of the partial results of a reduction, in all lanes."""
    element = COMPUTE[node.dtype]
    one = folded(body, node.value, element, name, held_lanes(body, node), 1)
    return body.splat(body.let(f"extractelement <1 x {element}> {one}, i64 0"), element)


def widening(node):
    """Whether a reduction adds up float32 in float64."""
    return node.args[0].op == "cast" and node.args[0].args[0].dtype == F32 and node.dtype == F64


def held_lanes(body, node):
    """How many partial results a reduction has: where it widens, one for each float32 of a register."""
    return min(body.lanes, native.target().vector_bytes // 4) if widening(node) else body.lanes


def held_type(body, node):
    return f"<{held_lanes(body, node)} x {COMPUTE[node.dtype]}>"


UNROLLED = 4  # vectors of a long row that a pass treats at once, so that no sum waits for the one before
LONG = 256
SHORT = 1 << 13  # elements of which a copy stays in the first cache, beside the row


class Arrays:
    """The arrays of a compiled row program, and how they lie.

    Attributes:
        leaves, dtypes, ways: of the inputs: their symbols, their dtypes in memory and their ways along the row.
        results: dtypes of the outputs.
        writes: the nodes that are written, to outputs or beside the row.
        streamed: whether whole rows of results are written past the caches.
    """

    def __init__(self, row, leaves, dtypes, ways, streamed):
        self.leaves, self.dtypes, self.ways, self.results = leaves, dtypes, ways, row.outputs
        self.writes = [*row.kept, *row.stores, *row.additions]
        self.streamed = streamed

    def inputs(self):
        return enumerate(zip(self.leaves, self.dtypes, self.ways, strict=True))

    def output(self, number):
        return f"%p{len(self.leaves) + number}"

    def place(self, node):
        return f"%kept{node.value}" if node.op == "kept" else self.output(node.value)

    def dtype(self, node):
        """That of a written node in memory."""
        return node.dtype if node.op == "kept" else self.results[node.value]


def row_text(row, arrays, vectors):
    """The function ``inner(lo, hi, pointers, strides)`` that runs a row program on one row, so many vectors at a time,
    and its declarations.
    """
    writes, total = arrays.writes, len(arrays.leaves) + len(arrays.results)
    levels = levels_of([*row.reductions, *writes, *[tree for tree, _ in row.numbers]])
    lanes = vectors * lanes_for([a for node in (*row.reductions, *writes) for a in narrow(node)])
    body = Body(lanes)
    body.block = "entry"
    for node in row.kept:
        body.line(f"{arrays.place(node)} = alloca [{SHORT} x {COMPUTE[node.dtype]}], align 64")
    for k, (leaf, dtype, way) in arrays.inputs():
        if way == "scalar":
            body.known[id(leaf)] = (body.load_one(f"%p{k}", dtype), leaf)
    body.known[id(row.length)] = (body.splat(body.let("sitofp i64 %hi to double"), "double"), row.length)
    passes = [levels[id(node)] - 1 for node in row.reductions] + [levels[id(node)] for node in writes]
    for level in range(max(passes, default=-1) + 1):
        reductions = [n for n in row.reductions if levels[id(n)] - 1 == level]
        write_pass(body, level, reductions, [n for n in writes if levels[id(n)] == level], arrays)
    for tree, output in row.numbers:
        element = COMPUTE[arrays.results[output]]
        value = body.let(f"extractelement {body.vector(element)} {body.value(tree)}, i64 0")
        body.line(f"store {element} {value}, ptr {arrays.output(output)}, align 1")
    pointers = ", ".join(f"ptr %p{k}" for k in range(total))
    strides = ", ".join(f"i64 %s{k}" for k in range(total))
    lines = [f"define internal void @inner(i64 %lo, i64 %hi, {pointers}, {strides}) {{", "entry:", *body.lines,
             "  ret void", "}"]  # fmt: skip
    return lines, body.declared


def narrow(node):
    """The part of a tree that is computed for each element, not in float64 for the whole row."""
    tree = node.args[0]
    return (tree.args[0],) if tree.op == "cast" and tree.dtype == F64 else (tree,)


def write_pass(body, level, reductions, stores, arrays):
    """One loop over the row: the reductions and stores of a level."""
    lanes = body.lanes
    before, outer_known = body.block, dict(body.known)
    kinds = [(node, held_type(body, node)) for node in reductions]
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
    results = step(body, index, None, names, reductions, stores, arrays)
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
    tails = step(body, index, mask, names, reductions, stores, arrays)
    part = body.block
    body.line(f"br label %{label}_end")
    body.lines.append(f"{label}_end:")
    body.block = f"{label}_end"
    body.known = dict(outer_known)
    finals = [body.let(f"phi {kind} [ {name}, %{label}_rest ], [ {tail}, %{part} ]")
              for name, tail, (_, kind) in zip(names, tails, kinds, strict=True)]  # fmt: skip
    for final, node in zip(finals, reductions, strict=True):
        body.known[id(node)] = (across(body, node, final), node)


def step(body, index, mask, names, reductions, stores, arrays):
    """The lines for one vector of elements; returns the new partial results."""
    for k, (leaf, dtype, way) in arrays.inputs():
        if way == "vector":
            body.known[id(leaf)] = (Pending(body.load, f"%p{k}", index, dtype, mask), leaf)
        elif way == "gather":
            body.known[id(leaf)] = (Pending(body.gather, f"%p{k}", index, f"%s{k}", dtype, mask), leaf)
    for node in arrays.writes:
        if not any(node is written for written in stores):  # by an earlier pass
            body.known[id(node)] = (Pending(body.load, arrays.place(node), index, arrays.dtype(node), mask), node)
    for node in stores:
        value, place, dtype = body.value(node.args[0]), arrays.place(node), arrays.dtype(node)
        body.known[id(node)] = (value, node)
        if node.op == "added":
            value = body.let(f"fadd {body.type_of(dtype)} {body.load(place, index, dtype, mask)}, {value}")
        body.store(value, place, index, dtype, mask, streamed=arrays.streamed and node.op == "stored")
    return [accumulated(body, node, name, mask) for name, node in zip(names, reductions, strict=True)]


def accumulated(body, node, held, mask):
    """The partial results of a reduction with a vector of elements added."""
    tree = narrow(node)[0] if widening(node) else node.args[0]
    value, kind, element = body.value(tree), body.type_of(tree.dtype), COMPUTE[tree.dtype]
    if mask is not None:
        neutral = f"splat ({element} {literal(START[node.value], tree.dtype)})"
        value = body.let(f"select {body.vector('i1')} {mask}, {kind} {value}, {kind} {neutral}")
    lanes = held_lanes(body, node)
    if widening(node):
        few = folded(body, node.value, element, value, body.lanes, lanes)
        value = body.let(f"fpext <{lanes} x {element}> {few} to {held_type(body, node)}")
    return combine(body, node.value, COMPUTE[node.dtype], held, value, lanes)


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
    """Rows along the last dimension; all others are outer. Rows that share a line of one of the `outputs` last arrays
    belong to one task.
    """

    def __init__(self, shape, strides, sizes, outputs):
        super().__init__(shape[:-1], [s[:-1] for s in strides], sizes)
        if self.inner != 1 or any(self.steps):
            self.outer.append((self.inner, self.steps))
        self.rows = prod(n for n, _ in self.outer)
        self.inner = shape[-1]
        self.steps = tuple(s[-1] for s in strides)
        self.ways = tuple("scalar" if s == 0 else "vector" if s == size else "gather"
                          for s, size in zip(self.steps, sizes, strict=True))  # fmt: skip
        together = [k for k, (_, steps) in enumerate(self.outer) if 0 in steps[-outputs:]]
        self.shared = prod(n for n, _ in self.outer[together[0] :]) if together else 0

    def packed(self):
        total = len(self.steps)
        each = self.shared or max(1, TASK // max(self.inner, 1))
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
    shape, or 1 for the last dimension (numbers), or 1 for some dimensions before it (sums over rows, which start at
    what is there). False if the arrays can't be walked.
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
        walk += [tuple(0 if n == 1 else s for n, s in zip(a.shape, a.strides, strict=True)) for a in outputs]
        layout = RowLayout(shape, walk, [a.dtype.itemsize for a in (*inputs, *outputs)], len(outputs))
        if len(layout.outer) > DEPTH:
            raise Unrecordable("too many dimensions")
        ways = layout.ways[: len(inputs)]
        if "gather" in layout.ways[len(inputs) :]:
            raise Unrecordable("a result with gaps")
        dtypes, results = [a.dtype for a in inputs], [a.dtype for a in outputs]
        vectors, short = UNROLLED if shape[-1] >= LONG else 1, shape[-1] <= SHORT
        whole = [len(inputs) + k for k, a in enumerate(outputs) if a.shape == shape]
        streams = short and vectors > 1 and layout.streams(whole, prod(shape) * max(a.itemsize for a in outputs))
        key = (*dtypes, *results, *ways, vectors, short, streams)
        run = self.functions.get(key)
        if run is None:
            compiled = partial(self.compiled, dtypes, ways, results, vectors, short)
            run = Streaming(partial(compiled, True), compiled, whole) if streams else compiled()
            self.functions[key] = run
        return run, layout.packed()

    def compiled(self, dtypes, ways, results, vectors, short, streamed=False):
        row = Row(results, short)
        leaves = [Symbol("argument", (), F32 if t in HALVES else t) for t in dtypes]
        self.program(row, *leaves)
        lines, declared = row_text(row, Arrays(row, leaves, dtypes, ways, streamed), vectors)
        total = len(dtypes) + len(results)
        declared = sorted(declared | {"declare i64 @llvm.smin.i64(i64, i64)"})
        text = "\n".join([
            "declare void @wengert_parallel(ptr, ptr, i64)", *declared, *lines, *task_text(total, ways),
            *entry_text(total),
        ])  # fmt: skip
        address = native.compile_text(text, ["loop"])["loop"]
        return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (total + 1))(address)
