"""Row programs along a dimension that isn't the last: rows that lie side by side, run a vector of them at a time.

The array is seen as (outer, n, inner). A lane is a row: what `wengert.kernels.cpu.rows` gathers across the lanes of a
vector stays within a lane here, so a reduction is one register, and every step down the rows reads as many elements as
lie together. The programs are the same, and so are their passes.
"""

from math import prod

import numpy as np

from wengert.kernels.cpu.assembly import COMPUTE, Body, literal
from wengert.kernels.cpu.expressions import F32, HALVES, Symbol
from wengert.kernels.cpu.function import kernel, plan, task
from wengert.kernels.cpu.pointwise import lanes_for
from wengert.kernels.cpu.rows import START, Pending, Row, RowKernel, combine, levels_of, narrow

FEWEST = 8  # rows that lie side by side: of fewer, most lanes would be idle
BLOCK = 1 << 14  # elements of a task, about: those of some whole vectors of rows
FIELDS = ("n", "inner", "columns", "parts", "unused", "unused", "tasks")  # then, in bytes, the steps of each array


class Writer:
    """Writes the task of a program: some columns of one of the `outer` parts."""

    def __init__(self, row, leaves, dtypes, ways, results):
        self.row, self.leaves, self.results, self.ways = row, leaves, results, ways
        self.dtypes = [*dtypes, *results]
        self.nodes = [*row.reductions, *row.stores]
        self.lanes = 2 * lanes_for([a for node in self.nodes for a in narrow(node)])
        steps = [f"{way}{k}" for k in range(len(self.dtypes)) for way in ("outer", "down")]
        f, field, bases = task((*FIELDS, *steps), len(self.dtypes), self.lanes)
        self.f, self.n, inner, columns = f, field["n"], field["inner"], field["columns"]
        outer, part = f.div("%task", field["parts"]), f.rem("%task", field["parts"])
        self.bases = [self.moved(base, f.mul(outer, field[f"outer{k}"])) for k, base in enumerate(bases)]
        self.down = [field[f"down{k}"] for k in range(len(bases))]
        self.levels = levels_of([*self.nodes, *[tree for tree, _ in row.numbers]])
        first = f.mul(part, columns)
        last = f.minimum(f.add(first, columns), inner)
        whole = f.add(first, f.mul(f.div(f.sub(last, first), self.lanes), self.lanes))
        with f.loop(first, whole, self.lanes) as column:
            self.program(column, None)
        with f.loop(whole, last, self.lanes) as column:  # what is less than a vector
            self.program(column, f.first(f.sub(last, column)))

    def moved(self, pointer, offset):
        return self.f.op(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def body(self, known):
        """The lines of one step, to be added by `add`."""
        body = Body(self.lanes)
        body.names, body.known = self.f.names, dict(known)
        return body

    def add(self, body):
        self.f.lines += body.lines
        self.f.names, self.f.declared = body.names, self.f.declared | body.declared

    def program(self, column, mask):
        """All passes over the rows of one vector."""
        f, row = self.f, self.row
        start = self.body({})
        length = start.splat(start.let(f"sitofp i64 {self.n} to double"), "double")
        self.add(start)
        known = {id(row.length): (length, row.length)}
        for level in range(max((self.levels[id(node)] - (node.op == "row") for node in self.nodes), default=-1) + 1):
            reductions = [node for node in row.reductions if self.levels[id(node)] - 1 == level]
            stores = [node for node in row.stores if self.levels[id(node)] == level]
            totals = [f.variable(self.kind(node)) for node in reductions]
            for node, total in zip(reductions, totals, strict=True):
                f.do(f"store {self.kind(node)} splat ({COMPUTE[node.dtype]} {literal(START[node.value], node.dtype)}), "
                     f"ptr {total}, align 64")  # fmt: skip
            with f.loop(0, self.n) as i:
                self.step(i, column, mask, known, stores, zip(reductions, totals, strict=True))
            for node, total in zip(reductions, totals, strict=True):
                known[id(node)] = (f.op(f"load {self.kind(node)}, ptr {total}, align 64"), node)
        for tree, output in row.numbers:
            end = self.body(known)
            end.store(end.value(tree), self.bases[len(self.leaves) + output], column, self.results[output], mask)
            self.add(end)

    def kind(self, node):
        return f"<{self.lanes} x {COMPUTE[node.dtype]}>"

    def step(self, i, column, mask, known, stores, reductions):
        """What a pass does with the elements at place `i` of its rows."""
        here = [self.moved(base, self.f.mul(i, down)) for base, down in zip(self.bases, self.down, strict=True)]
        body = self.body(known)
        for k, (leaf, way) in enumerate(zip(self.leaves, self.ways, strict=True)):
            load = (body.load_one, here[k]) if way == "scalar" else (body.load, here[k], column)
            body.known[id(leaf)] = (Pending(*load, self.dtypes[k], *[mask] * (way != "scalar")), leaf)
        for node in self.row.stores:
            if not any(node is written for written in stores):  # by an earlier pass
                place = len(self.leaves) + node.value
                body.known[id(node)] = (Pending(body.load, here[place], column, self.dtypes[place], mask), node)
        for node in stores:
            value = body.value(node.args[0])
            body.known[id(node)] = (value, node)
            place = len(self.leaves) + node.value
            body.store(value, here[place], column, self.dtypes[place], mask)
        for node, total in reductions:
            kind = self.kind(node)
            held = body.let(f"load {kind}, ptr {total}, align 64")
            result = combine(body, node.value, COMPUTE[node.dtype], held, body.value(node.args[0]))
            body.line(f"store {kind} {result}, ptr {total}, align 64")
        self.add(body)


class AbreastKernel:
    """A row program for rows side by side, compiled for the dtypes that it meets.

    ``kernel(inputs, outputs)``: arrays (outer, n, inner), their inner elements next to each other; an input may have
    the stride 0 there. Outputs for numbers of a row have 1 in the place of n.
    """

    def __init__(self, program):
        self.program, self.functions = program, {}

    def __call__(self, inputs, outputs):
        outer, n, inner = inputs[0].shape
        arrays = [*inputs, *outputs]
        ways = tuple("scalar" if a.strides[2] == 0 else "vector" for a in inputs)
        key = (ways, *[a.dtype for a in arrays])
        found = self.functions.get(key)
        if found is None:
            found = self.functions[key] = self.compiled([a.dtype for a in inputs], ways, [a.dtype for a in outputs])
        run, lanes = found
        columns = max(1, BLOCK // (n * lanes)) * lanes
        parts = -(-inner // columns)
        steps = [step for a in arrays for step in (a.strides[0], a.strides[1] if a.shape[1] > 1 else 0)]
        run(plan(n, inner, columns, parts, 0, 0, outer * parts, *steps), *map(id, arrays))

    def compiled(self, dtypes, ways, results):
        row = Row(results, short=False)
        leaves = [Symbol("argument", (), F32 if t in HALVES else t) for t in dtypes]
        self.program(row, *leaves)
        writer = Writer(row, leaves, dtypes, ways, results)
        return kernel([writer.f], len(dtypes) + len(results)), writer.lanes


def folded(array, axis, shape):
    """`array`, which broadcasts to `shape`, as (outer, n, inner) around an axis, inner elements side by side."""
    view = np.broadcast_to(array, shape).reshape(prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]))
    return view if view.strides[2] in (0, view.itemsize) else np.ascontiguousarray(view)


class Along:
    """A row program along any axis of arrays that broadcast to one shape."""

    def __init__(self, name, program):
        self.rows, self.abreast = RowKernel(name, program), AbreastKernel(program)

    def __call__(self, axis, arrays, out):
        """Fill `out`, contiguous and of the arrays' shape, but perhaps of extent 1 along `axis`; False if it can't."""
        shape = arrays[0].shape
        inner = prod(shape[axis + 1 :])
        if inner == 1:
            ends = shape[: axis + 1]
            inputs = [(a if a.shape == shape else np.broadcast_to(a, shape)).reshape(ends) for a in arrays]
            return self.rows(ends, inputs, [out.reshape(*ends[:-1], -1)])
        if inner < FEWEST:
            return False
        self.abreast([folded(a, axis, shape) for a in arrays], [out.reshape(-1, out.shape[axis], inner)])
        return True
