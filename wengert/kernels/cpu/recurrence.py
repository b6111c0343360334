"""The LSTM's loop over time, compiled: products, gates and cells of a step in one pass.

A thread takes some rows of the batch through all steps, so threads never wait for each other. For a few rows and one
vector of units, the four gates are products of the last outputs with four columns of the recurrent weight; they stay in
registers until the new cell is known. See `wengert.nn.modules.recurrence` for the reference and for the gradients'
formulas.
"""

import ctypes
from functools import cache

import numpy as np

from wengert.kernels.cpu import mathematics, native, threads
from wengert.kernels.cpu.function import Fields, Function, module
from wengert.kernels.cpu.products import accumulate

GATES = 4  # i, f, g, o

# What a task reads: numbers, then addresses; a step is the distance in elements from one time to the next.
NUMBERS = ("time", "batch", "units", "tasks", "gate_step", "unit_step", "has_outputs", "has_h", "has_c")
FORWARD = (*NUMBERS, "gates", "h0", "c0", "weight", "outputs", "cells", "activations", "tanhs")
BACKWARD = (*NUMBERS, "weight", "c0", "cells", "activations", "tanhs", "g_outputs", "g_h", "g_c", "dz", "dc")


def blocks(f, field, rows):
    """This task's rows of the batch, in whole blocks and the rest: (first row, row after the last, rows at once)."""
    first, last = (f.div(f.mul(field["batch"], k), field["tasks"]) for k in ("%share", f.add("%share", 1)))
    whole = f.add(first, f.mul(f.div(f.sub(last, first), rows), rows))
    return (first, whole, rows), (whole, last, 1)


def forward_function(name, lanes, rows):
    f = Function(name, "ptr argument, i64 share", lanes, internal=False)
    field = Fields(f, FORWARD)
    units, gate_step, unit_step = field["units"], field["gate_step"], field["unit_step"]
    wide = f.mul(units, GATES)
    weight, gates, activations = (field.pointer(k) for k in ("weight", "gates", "activations"))
    outputs, cells, tanhs = (field.pointer(k) for k in ("outputs", "cells", "tanhs"))
    h0, c0 = field.pointer("h0"), field.pointer("c0")
    shares = blocks(f, field, rows)
    with f.loop(0, field["time"]) as t:
        start = f.op(f"icmp eq i64 {t}, 0")
        now, before = f.mul(t, unit_step), f.mul(f.sub(t, 1), unit_step)
        h, c = (
            f.op(f"select i1 {start}, ptr {initial}, ptr {f.at(later, before)}")
            for initial, later in ((h0, outputs), (c0, cells))
        )
        with f.loop(0, units, lanes) as unit:
            mask = f.first(f.sub(units, unit))
            panel = f.at(weight, f.mul(unit, wide))
            for first, last, count in shares:
                with f.loop(first, last, count) as row:
                    lines = [f.add(f.mul(t, gate_step), f.mul(f.add(row, r), wide)) for r in range(count)]
                    sums = {(r, k): f.variable() for r in range(count) for k in range(GATES)}
                    for (r, k), variable in sums.items():
                        f.store(f.load_some(f.at(gates, lines[r], f.mul(k, units), unit), mask), variable)
                    accumulate(f, sums, f.at(h, f.mul(row, units)), units, 1, panel, GATES * lanes, units)
                    for r in range(count):
                        i, forget, g, o = (
                            f.apply(mathematics.tanh if k == 2 else mathematics.sigmoid, f.load(sums[r, k]))
                            for k in range(GATES)
                        )
                        here = f.add(f.mul(f.add(row, r), units), unit)
                        cell = f.fused(forget, f.load_some(f.at(c, here), mask), f.product(i, g))
                        bent = f.apply(mathematics.tanh, cell)
                        for k, value in enumerate((i, forget, g, o)):
                            f.store_some(value, f.at(activations, lines[r], f.mul(k, units), unit), mask)
                        for array, value in ((cells, cell), (tanhs, bent), (outputs, f.product(o, bent))):
                            f.store_some(value, f.at(array, now, here), mask)
    return f


def backward_function(name, lanes, rows):
    """From the last step to the first: dh = what arrives + dz of the step after · weight, then dc and dz."""
    f = Function(name, "ptr argument, i64 share", lanes, internal=False)
    field = Fields(f, BACKWARD)
    units, gate_step, unit_step = field["units"], field["gate_step"], field["unit_step"]
    wide = f.mul(units, GATES)
    places = {k: field.pointer(k) for k in BACKWARD[len(NUMBERS) :]}
    given = {k: f.op(f"icmp ne i64 {field[f'has_{k}']}, 0") for k in ("outputs", "h", "c")}
    shares = blocks(f, field, rows)
    steps = field["time"]
    one = f.number(1)

    def optional(condition, pointer, mask):
        """What arrives there, or zero where nothing does."""
        return f.load_some(pointer, f.op(f"select i1 {condition}, {f.mask} {mask}, {f.mask} zeroinitializer"))

    def both(a, b):
        return f.op(f"and i1 {a}, {b}")

    with f.loop(0, steps) as done:
        t = f.sub(f.sub(steps, 1), done)
        newest, oldest = f.op(f"icmp eq i64 {done}, 0"), f.op(f"icmp eq i64 {t}, 0")
        now = f.mul(t, unit_step)
        later = f.at(places["dz"], f.mul(f.add(t, 1), gate_step))
        depth = f.op(f"select i1 {newest}, i64 0, i64 {wide}")
        before = f.op(f"select i1 {oldest}, ptr {places['c0']}, ptr {f.at(places['cells'], f.sub(now, unit_step))}")
        with f.loop(0, units, lanes) as unit:
            mask = f.first(f.sub(units, unit))
            panel = f.at(places["weight"], f.mul(unit, wide))
            for first, last, count in shares:
                with f.loop(first, last, count) as row:
                    sums = {(r, 0): f.variable() for r in range(count)}
                    heres = [f.add(f.mul(f.add(row, r), units), unit) for r in range(count)]
                    for r, here in enumerate(heres):
                        arrived = optional(given["outputs"], f.at(places["g_outputs"], now, here), mask)
                        at_end = optional(both(newest, given["h"]), f.at(places["g_h"], here), mask)
                        f.store(f.plus(arrived, at_end), sums[r, 0])
                    accumulate(f, sums, f.at(later, f.mul(row, wide)), wide, 1, panel, lanes, depth)
                    for r, here in enumerate(heres):
                        line = f.add(f.mul(t, gate_step), f.mul(f.add(row, r), wide))
                        kept = f.at(places["activations"], line, unit)
                        i, forget, g, o = (f.load_some(f.at(kept, f.mul(k, units)), mask) for k in range(GATES))
                        bent = f.load_some(f.at(places["tanhs"], now, here), mask)
                        dh = f.load(sums[r, 0])
                        at_end = optional(both(newest, given["c"]), f.at(places["g_c"], here), mask)
                        carried = f.op(f"select i1 {newest}, {f.mask} zeroinitializer, {f.mask} {mask}")
                        dc = f.plus(at_end, f.load_some(f.at(places["dc"], here), carried))
                        dc = f.fused(f.product(dh, o), f.minus(one, f.product(bent, bent)), dc)
                        last_cell = f.load_some(f.at(before, here), mask)
                        of_sigmoid = lambda s: f.product(s, f.minus(one, s))
                        slopes = (
                            f.product(f.product(dc, g), of_sigmoid(i)),
                            f.product(f.product(dc, last_cell), of_sigmoid(forget)),
                            f.product(f.product(dc, i), f.minus(one, f.product(g, g))),
                            f.product(f.product(dh, bent), of_sigmoid(o)),
                        )
                        for k, value in enumerate(slopes):
                            f.store_some(value, f.at(places["dz"], line, f.mul(k, units), unit), mask)
                        f.store_some(f.product(dc, forget), f.at(places["dc"], here), mask)
    return f


@cache
def compiled():
    """The two tasks' addresses."""
    lanes = native.target().vector_bytes // 4
    rows = 4 if lanes == 16 else 2  # with four gates each, as many sums as there are registers for
    functions = [forward_function("@@forward", lanes, rows), backward_function("@@backward", lanes, 2 * rows)]
    return native.compile_text(module(functions), ["forward", "backward"])


def run(name, numbers, arrays):
    values = [*numbers, *(0 if a is None else a.ctypes.data for a in arrays)]
    argument = (ctypes.c_int64 * len(values))(*values)
    threads.share(compiled()[name], argument, numbers[3])


def panels(weight, gates, units):
    """Columns of ``weight`` (depth, gates × units) in panels of one vector of units, zeros where units run out."""
    lanes = native.target().vector_bytes // 4
    depth, short = len(weight), -units % lanes
    split = weight.reshape(depth, gates, units)
    if short:
        split = np.pad(split, ((0, 0), (0, 0), (0, short)))
    split = split.reshape(depth, gates, -1, lanes).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(split)


def in_order(array, reverse):
    """Where the loop begins in an array (T, …): at the last time if it runs backward."""
    return array[-1:] if reverse and len(array) else array


def shape_of(gates, h0, reverse):
    time, batch, wide = gates.shape
    units = h0.shape[1]
    sign = -1 if reverse else 1
    return time, batch, units, min(batch, threads.number()), sign * batch * wide, sign * batch * units


def lstm_forward(gates, h0, c0, w_hh, reverse):
    """Run over gates (T, B, 4H) from h0 and c0 (B, H): outputs, cells, activations (T, B, 4H), tanh of the cells.

    None unless all are of single precision.
    """
    if not gates.dtype == h0.dtype == c0.dtype == w_hh.dtype == np.float32:
        return None
    time, batch, units = gates.shape[0], *h0.shape
    packed = panels(w_hh.T, GATES, units).reshape(-1)
    outputs, cells, tanhs = (np.empty((time, batch, units), np.float32) for _ in range(3))
    activations = np.empty(gates.shape, np.float32)
    gates, h0, c0 = map(np.ascontiguousarray, (gates, h0, c0))
    results = (in_order(a, reverse) for a in (outputs, cells, activations, tanhs))
    run("forward", (*shape_of(gates, h0, reverse), 0, 0, 0), [in_order(gates, reverse), h0, c0, packed, *results])
    return outputs, cells, activations, tanhs


def lstm_backward(g_outputs, g_h, g_c, h0, c0, w_hh, outputs, cells, activations, tanhs, reverse):
    """Gradients of the gates, (T, B, 4H), and of c0; with them those of h0 and w_hh are products.

    None unless all are of single precision.
    """
    given = [a for a in (g_outputs, g_h, g_c, h0, c0, w_hh, activations) if a is not None]
    if any(a.dtype != np.float32 for a in given):
        return None
    units = h0.shape[1]
    packed = panels(w_hh, 1, units).reshape(-1)
    dz, dc = np.empty(activations.shape, np.float32), np.empty(c0.shape, np.float32)
    arrived = [None if a is None else np.ascontiguousarray(a) for a in (g_outputs, g_h, g_c)]
    if arrived[0] is not None:
        arrived[0] = in_order(arrived[0], reverse)
    numbers = (*shape_of(activations, h0, reverse), *(int(a is not None) for a in arrived))
    kept = (in_order(a, reverse) for a in (cells, activations, tanhs))
    run("backward", numbers, [packed, np.ascontiguousarray(c0), *kept, *arrived, in_order(dz, reverse), dc])
    return dz, dc
