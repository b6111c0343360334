"""The loops of recurrent cells over time, compiled: products, gates and memory of a step in one pass.

A thread takes some sequences of the batch through all steps, so threads never wait for each other. For a few sequences
and some vectors of units, the sums of all gates are products of the last outputs with columns of the recurrent weight;
they stay in registers until the new output is known. The formulas between are the `Cell`'s own, written in line
(`wengert.kernels.recurrence`, where the reference is too).
"""

import ctypes
from contextlib import contextmanager
from functools import cache

import numpy as np

from wengert.kernels.copies import in_rows
from wengert.kernels.cpu import mathematics, native, threads
from wengert.kernels.cpu.expressions import fma, maximum
from wengert.kernels.cpu.function import Fields, Function, kernel, module, plan, task
from wengert.kernels.cpu.products import TRANSPOSE, accumulate, addresses, transpose
from wengert.kernels.matmul import times

BENDS = {"sigmoid": mathematics.sigmoid, "tanh": mathematics.tanh, "relu": lambda x: maximum(x, 0.0)}

# What a task reads: numbers, then addresses. `starts` and `counts` say for each step, in the order in which steps are
# taken, where its rows begin and how many they are; before the first and after the last step there are none.
NUMBERS = ("steps", "batch", "units", "tasks", "has_outputs", "has_h", "has_c")
FORWARD = (*NUMBERS, "starts", "counts", "gates", "bias", "h0", "c0", "weight", "outputs", "cells", "kept")
BACKWARD = (*NUMBERS, "starts", "counts", "weight", "h0", "c0", "outputs", "cells", "kept", "g_outputs", "g_h", "g_c",
            "dz", "apart", "dm")  # fmt: skip


class Loop:
    """The writer of one loop of a cell: `some_rows` walks its rows, `add_up` writes the sums of a few of them, and
    `finish` what is done with those of one.
    """

    def __init__(self, cell, name, fields, lanes, rows, vectors, columns):
        self.cell, self.rows, self.vectors, self.columns = cell, rows, vectors, columns * vectors
        self.gates, self.width = len(cell.bends), cell.bent + cell.others
        self.f = f = Function(name, "ptr argument, i64 share", lanes, internal=False)
        self.field = Fields(f, fields)
        self.places = {k: self.field.pointer(k) for k in fields[len(NUMBERS) :]}
        self.units, self.steps = self.field["units"], self.field["steps"]
        batch, tasks = self.field["batch"], self.field["tasks"]
        self.first, self.last = (f.div(f.mul(batch, k), tasks) for k in ("%share", f.add("%share", 1)))
        self.held = f.variable(f"[{rows * self.columns} x {f.vector}]")

    def of_step(self, name, step):
        """The start or the count of a step."""
        return self.f.load(self.f.op(f"getelementptr i64, ptr {self.places[name]}, i64 {step}"), "i64")

    def mine(self, count):
        """The end of this task's rows of a step that has so many."""
        most = self.f.op(f"call i64 @llvm.smax.i64(i64 {count}, i64 {self.first})")
        return self.f.minimum(most, self.last)

    @contextmanager
    def some_units(self, columns):
        """Go through the units; `columns` are those of the weight for each unit. Gives the place in the weight."""
        f, step = self.f, self.vectors * self.f.lanes
        with f.loop(0, self.units, step) as unit:
            self.unit = [f.add(unit, v * f.lanes) for v in range(self.vectors)]
            self.mask = [f.first(f.sub(self.units, u)) for u in self.unit]
            yield f.at(self.places["weight"], f.mul(unit, columns))

    def some_rows(self, low, high):
        """Add up whole blocks of rows, then one by one, and finish each row."""
        f, blocks = self.f, self.f.loop(low, high)
        with blocks as first:
            enough = f.op(f"icmp sle i64 {f.add(first, self.rows)}, {high}")
            f.where(enough, lambda: self.hold(first, self.rows), lambda: self.hold(first, 1))
            blocks.step = self.either(enough, self.rows, 1, "i64")
            with f.loop(0, blocks.step) as r:
                line = f.at(self.held, f.mul(r, self.columns * f.lanes))
                sums = [f.load(f.at(line, column * f.lanes)) for column in range(self.columns)]
                self.finish(f.add(first, r), sums)

    def hold(self, row, count):
        """Leave the sums of some rows where the next loop finds them."""
        sums = {(r, column): self.f.variable() for r in range(count) for column in range(self.columns)}
        self.add_up(row, count, sums)
        for (r, column), place in sums.items():
            self.f.store(self.f.load(place), self.f.at(self.held, (r * self.columns + column) * self.f.lanes))

    def line(self, pointer, row, columns=1):
        """The row of an array that has so many times `units` columns."""
        return self.f.at(pointer, self.f.mul(row, self.f.mul(self.units, columns)))

    def place(self, line, v, k=0):
        """The units at hand of gate `k` in a row: its vector `v`."""
        return self.f.at(line, self.f.mul(self.units, k), self.unit[v])

    def load(self, line, v, k=0):
        return self.f.load_some(self.place(line, v, k), self.mask[v])

    def store(self, value, line, v, k=0):
        self.f.store_some(value, self.place(line, v, k), self.mask[v])

    def either(self, condition, a, b, kind="ptr"):
        return self.f.op(f"select i1 {condition}, {kind} {a}, {kind} {b}")


class Forward(Loop):
    """From the first step to the last: all gates of a few rows at a time."""

    def __init__(self, cell, name, *widths):
        super().__init__(cell, name, FORWARD, *widths, len(cell.bends))
        f = self.f
        with f.loop(0, self.steps) as step:
            before = f.sub(step, 1)
            self.start, start_before = self.of_step("starts", step), self.of_step("starts", before)
            end = self.mine(self.of_step("counts", step))
            begun = f.minimum(self.mine(self.of_step("counts", before)), end)
            with self.some_units(f.mul(self.units, self.gates)) as self.panel, f.loop(0, 2) as part:
                old = f.op(f"icmp eq i64 {part}, 0")  # the rest of the rows begin in this step
                self.h, self.c = (
                    self.either(old, self.line(self.places[later], start_before), self.places[initial])
                    for later, initial in (("outputs", "h0"), ("cells", "c0"))
                )
                low, high = self.either(old, self.first, begun, "i64"), self.either(old, begun, end, "i64")
                self.some_rows(low, high)

    def add_up(self, row, count, sums):
        f = self.f
        given = [self.line(self.places["gates"], f.add(self.start, f.add(row, r)), self.gates) for r in range(count)]
        for (r, column), place in sums.items():
            f.store(self.initial(given[r], *divmod(column, self.vectors)), place)
        accumulate(f, sums, self.line(self.h, row), self.units, 1, self.panel, self.columns * f.lanes, self.units)

    def initial(self, line, k, v):
        """What the sum of gate `k` begins with. A bias is there only if the products of some gates stand apart."""
        apart = k >= self.cell.bent
        value = "zeroinitializer" if apart else self.load(line, v, k)
        if self.gates == self.cell.bent:
            return value
        bias = self.load(self.places["bias"], v, k)
        return bias if apart else self.f.plus(value, bias)

    def finish(self, row, sums):
        """From the sums to the new output."""
        now = self.f.add(self.start, row)
        given = self.line(self.places["gates"], now, self.gates)
        for v in range(self.vectors):
            self.finish_units(row, now, given, sums[v :: self.vectors], v)

    def finish_units(self, row, now, line, products, v):
        cell, f = self.cell, self.f
        apart = [self.load(line, v, k) for k in range(cell.bent, self.gates)]
        memory = {"c": self.c, "h": self.h}.get(cell.memory)
        held = [self.load(self.line(memory, row), v)] if memory else []

        def formula(*values):
            bent = [BENDS[cell.bends[k]](values[k]) for k in range(cell.bent)]
            outside = values[self.gates :]
            pairs = [x for k in range(cell.bent, self.gates) for x in (outside[k - cell.bent], values[k])]
            return *bent, *cell.step(*bent, *pairs, *outside[len(apart) :])

        results = f.apply_all(formula, *products, *apart, *held)
        kept, states = results[: cell.bent], results[cell.bent : len(results) - cell.others]
        kept += results[len(results) - cell.others :]
        for name, value in zip(("outputs", "cells"), states, strict=False):
            self.store(value, self.line(self.places[name], now), v)
        if self.width > 1:  # what an Elman cell keeps is its output
            line = self.line(self.places["kept"], now, self.width)
            for k, value in enumerate(kept):
                self.store(value, line, v, k)


class Backward(Loop):
    """From the last step to the first: dh = what arrives + the gradients of the step after · weight."""

    def __init__(self, cell, name, *widths):
        super().__init__(cell, name, BACKWARD, *widths, 1)
        f = self.f
        self.given = {k: f.op(f"icmp ne i64 {self.field[f'has_{k}']}, 0") for k in ("outputs", "h", "c")}
        with f.loop(0, self.steps) as done:
            step = f.sub(f.sub(self.steps, 1), done)
            before, after = f.sub(step, 1), f.add(step, 1)
            self.start, self.start_before, self.start_after = (self.of_step("starts", s) for s in (step, before, after))
            end = self.mine(self.of_step("counts", step))
            old, going = (f.minimum(self.mine(self.of_step("counts", s)), end) for s in (before, after))
            cuts = [self.first, f.minimum(old, going), f.op(f"call i64 @llvm.smax.i64(i64 {old}, i64 {going})"), end]
            with self.some_units(f.mul(self.units, self.gates)) as self.panel, f.loop(0, 3) as part:
                one, two = (f.op(f"icmp eq i64 {part}, {k}") for k in (0, 1))
                low, high = (
                    self.either(one, a, self.either(two, b, c, "i64"), "i64") for a, b, c in (cuts[:3], cuts[1:])
                )
                self.oldest = f.op(f"icmp sge i64 {low}, {old}")
                self.newest = f.op(f"icmp sge i64 {low}, {going}")
                self.some_rows(low, high)

    def add_up(self, row, count, sums):
        f, cell = self.f, self.cell
        rows = [f.add(row, r) for r in range(count)]
        at_end = f.op(f"and i1 {self.newest}, {self.given['h']}")
        for (r, v), total in sums.items():
            arrived = self.load_if(self.given["outputs"], "g_outputs", f.add(self.start, rows[r]), v)
            f.store(f.plus(arrived, self.load_if(at_end, "g_h", rows[r], v)), total)
        later = f.add(self.start_after, row)
        panel, step = self.panel, self.columns * f.lanes
        for name, own, columns in (("dz", cell.bent, self.gates), ("apart", *[self.gates - cell.bent] * 2)):
            if own:
                depth = self.either(self.newest, 0, f.mul(self.units, own), "i64")
                line = self.line(self.places[name], later, columns)
                accumulate(f, sums, line, f.mul(self.units, columns), 1, panel, step, depth)
                panel = f.at(panel, f.mul(f.mul(self.units, own), step))

    def load_if(self, condition, name, row, v):
        """Some of a row where the condition holds, zero elsewhere."""
        mask = self.f.op(f"select i1 {condition}, {self.f.mask} {self.mask[v]}, {self.f.mask} zeroinitializer")
        return self.f.load_some(self.place(self.line(self.places[name], row), v), mask)

    def finish(self, row, sums):
        """From an output's gradient to those of the gates and of the memory before."""
        for v, dh in enumerate(sums):
            self.finish_units(row, dh, v)

    def finish_units(self, row, dh, v):
        cell, f, places = self.cell, self.f, self.places
        now = f.add(self.start, row)
        line = self.line(places["kept"], now, self.width)
        values = [self.load(line, v, k) for k in range(self.width)]
        if cell.memory:
            later, initial = {"c": ("cells", "c0"), "h": ("outputs", "h0")}[cell.memory]
            before = self.line(places[later], f.add(self.start_before, row))
            values.append(self.load(self.either(self.oldest, self.line(places[initial], row), before), v))
            at_end = f.op(f"and i1 {self.newest}, {self.given['c']}")
            going = f.op(f"xor i1 {self.newest}, true")
            values += self.load_if(at_end, "g_c", row, v), self.load_if(going, "dm", row, v)

        def formula(dh, *values):
            if not cell.memory:
                return [dh * factor for factor in cell.slopes(*values).gates]
            *values, at_end, carried = values
            slopes, dm = cell.slopes(*values), at_end + carried
            total = dm + dh if slopes.through is None else fma(dh, slopes.through, dm)
            to_gates = [total * factor for factor in slopes.gates] + [dh * factor for factor in slopes.outward]
            return *to_gates, *(total * factor for factor in slopes.apart), total * slopes.decay

        results = f.apply_all(formula, dh, *values)
        line = self.line(places["dz"], now, self.gates)
        for k in range(self.gates):
            self.store(results[k], line, v, k)
        apart = self.gates - cell.bent
        if apart:
            line = self.line(places["apart"], now, apart)
            for k in range(apart):
                self.store(results[self.gates + k], line, v, k)
        if cell.memory:
            self.store(results[-1], self.line(places["dm"], row), v)


def widths(cell, lanes):
    """((rows, vectors) forward, (rows, vectors) backward): as many sums at once as there are registers for.

    A row's broadcast element then serves several vectors, be they of several gates or of several units.
    """
    rows = 4 if lanes == 16 else 2
    return (rows, max(1, 4 // len(cell.bends))), (rows, 2)


@cache
def compiled(cell, kind):
    """The address of a task."""
    lanes = native.target().vector_bytes // 4
    loop = kind(cell, "@@loop", lanes, *widths(cell, lanes)[kind is Backward])
    return native.compile_text(module([loop.f]), ["loop"])["loop"]


def run(cell, kind, walk, units, arrays, has=(0, 0, 0)):
    """Run a task for shares of the batch; arrays that aren't there are None."""
    steps = np.array([(0, 0), *walk.steps, (0, 0)], np.int64).T.copy()
    starts, counts = (row.ctypes.data + row.itemsize for row in steps)
    tasks = min(walk.batch, threads.number())
    arrays = [a if a is None or a.flags.c_contiguous else in_rows(a) for a in arrays]
    values = [len(walk.steps), walk.batch, units, tasks, *has, starts, counts,
              *(0 if a is None else a.ctypes.data for a in arrays)]  # fmt: skip
    argument = (ctypes.c_int64 * len(values))(*values)
    threads.share(compiled(cell, kind), argument, tasks)


def panels(weight, vectors):
    """Columns of ``weight`` (depth, units) in panels of some vectors of units, zeros where units run out."""
    width = vectors * native.target().vector_bytes // 4
    depth, units = weight.shape
    if units % width:
        weight = np.pad(weight, ((0, 0), (0, -units % width)))
    return np.ascontiguousarray(weight.reshape(depth, -1, width).transpose(1, 0, 2))


PACKING = ("units", "gates", "width", "", "", "", "tasks")


@cache
def packing():
    """``run(plan, weight, packed)``: a task has one panel of all gates."""
    lanes = native.target().vector_bytes // 4
    f, field, (weight, packed) = task(PACKING, 2, lanes)
    units, gates, width = (field[k] for k in PACKING[:3])
    first = f.mul("%task", width)
    rows, step = f.minimum(f.sub(units, first), width), f.mul(gates, width)
    with f.loop(0, gates) as k:
        source = f.at(weight, f.mul(f.add(f.mul(k, units), first), units))
        to = f.at(packed, f.mul(f.add(f.mul(f.mul("%task", units), gates), k), width))
        transpose(f, source, units, to, step, rows, units)
    return kernel([f], 2, **addresses(TRANSPOSE))


def panels_of_gates(weight, units, vectors):
    """Those of the transpose of ``weight`` (gates × units, units), the gates' beside each other."""
    width = vectors * native.target().vector_bytes // 4
    number, gates = -(-units // width), len(weight) // units
    packed = (np.zeros if units % width else np.empty)((number, units, gates, width), np.float32)
    weight = np.ascontiguousarray(weight)
    threads.start()
    packing()(plan(units, gates, width, 0, 0, 0, number), id(weight), id(packed))
    return packed


def single(*arrays):
    """Whether those arrays that are there are of single precision."""
    return all(a is None or a.dtype == np.float32 for a in arrays)


def forward(cell, walk, gates, w_hh, b_hh, h0, c0):
    """As the reference; None unless all arrays are of single precision."""
    if not single(gates, w_hh, b_hh, h0, c0):
        return None
    rows, units = walk.rows, h0.shape[1]
    lanes = native.target().vector_bytes // 4
    packed = panels_of_gates(w_hh, units, widths(cell, lanes)[0][1])
    outputs = np.empty((rows, units), np.float32)
    cells = np.empty_like(outputs) if cell.memory == "c" else None
    width = cell.bent + cell.others
    kept = np.empty((rows, width * units), np.float32) if width > 1 else outputs
    if b_hh is None and len(cell.bends) > cell.bent:
        b_hh = np.zeros(gates.shape[1], np.float32)
    run(cell, Forward, walk, units, [gates, b_hh, h0, c0, packed, outputs, cells, kept])
    return outputs, cells, kept


def backward(cell, walk, arrived, w_hh, h0, c0, outputs, cells, kept):
    """(gradients of the gates, of the products apart, of h0, of c0); None unless all are of single precision."""
    if not single(*arrived, w_hh, h0, c0, kept):
        return None
    units = h0.shape[1]
    lanes = native.target().vector_bytes // 4
    packed = panels(w_hh, widths(cell, lanes)[1][1])
    bent, gates = cell.bent * units, len(cell.bends) * units
    dz = np.empty((walk.rows, gates), np.float32)
    dm = np.empty(h0.shape, np.float32) if cell.memory else None
    apart = np.empty((walk.rows, gates - bent), np.float32) if gates > bent else None
    has = [int(a is not None) for a in arrived]
    # What isn't there is masked out. Its place must be memory all the same: to pass over a page that doesn't exist
    # takes a processor hundreds of cycles.
    arrived = [there if a is None else a for a, there in zip(arrived, (outputs, h0, h0), strict=True)]
    run(cell, Backward, walk, units, [packed, h0, c0, outputs, cells, kept, *arrived, dz, apart, dm], has)
    first = walk.first(dz)
    if apart is not None:
        first = np.concatenate([first[:, :bent], walk.first(apart)], 1)
    dh = times(first, w_hh)
    if cell.memory == "h":
        dh += dm
    return dz, apart, dh, dm
