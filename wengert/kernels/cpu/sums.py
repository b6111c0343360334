"""Sums over the rows of a matrix in single precision, as the gradient of a bias is one.

A task has a few vectors of columns and adds all rows of them, so that there are no partial results to combine. As in
the reference, rows are added in blocks; the sums of the blocks are added in double precision. What has too few columns
for all threads is left to `wengert.kernels.cpu.reductions`, which shares out the rows as well.
"""

from functools import cache

import numpy as np

from wengert.kernels import sums as reference
from wengert.kernels.cpu import native, reductions, threads
from wengert.kernels.cpu.expressions import F32
from wengert.kernels.cpu.function import kernel, plan, task

VECTORS = 2  # of a task: whole cache lines, of which the next is fetched as well
TOGETHER = 2  # rows that are added at once, to running sums of their own
AHEAD = 8  # rows that are fetched before they are added: they lie in different pages
LARGE = 1 << 17  # elements from which it is worth combining partial results
FIELDS = ("rows", "columns", "", "", "", "", "tasks")


@cache
def compiled():
    """``run(plan, matrix, out)``, and how many columns a task has."""
    lanes = native.target().vector_bytes // 4
    f, field, (matrix, out) = task(FIELDS, 2, lanes)
    rows, columns, double = field["rows"], field["columns"], f"<{lanes} x double>"
    first = f.mul("%task", VECTORS * lanes)
    places = [f.add(first, v * lanes) for v in range(VECTORS)]
    masks = [f.first(f.sub(columns, place)) for place in places]
    totals = [f.variable(double) for _ in places]
    for total in totals:
        f.store("zeroinitializer", total, double)
    with f.loop(0, rows, reference.BLOCK) as start:
        sums = {(r, v): f.variable() for r in range(TOGETHER) for v in range(VECTORS)}
        for place in sums.values():
            f.store("zeroinitializer", place)
        end = f.minimum(f.add(start, reference.BLOCK), rows)
        whole = f.sub(end, f.rem(f.sub(end, start), TOGETHER))
        for low, high, count in ((start, whole, TOGETHER), (whole, end, 1)):
            with f.loop(low, high, count) as row:
                for r in range(count):
                    line = f.at(matrix, f.mul(f.add(row, r), columns))
                    for v, place in enumerate(places):
                        here = f.at(line, place)
                        f.prefetch(f.at(here, f.mul(columns, AHEAD)))
                        f.store(f.plus(f.load(sums[r, v]), f.load_some(here, masks[v])), sums[r, v])
        for v, total in enumerate(totals):
            block = f.load(sums[0, v])
            for r in range(1, TOGETHER):
                block = f.plus(block, f.load(sums[r, v]))
            wide = f.op(f"fpext {f.vector} {block} to {double}")
            f.store(f.op(f"fadd {double} {f.load(total, double)}, {wide}"), total, double)
    for total, place, mask in zip(totals, places, masks, strict=True):
        f.store_some(f.op(f"fptrunc {double} {f.load(total, double)} to {f.vector}"), f.at(out, place), mask)
    return kernel([f], 2), VECTORS * lanes


def add_rows(array):
    """As the reference: the sum over the first axis."""
    run, each = compiled()
    width = array.size // max(len(array), 1)
    tasks = -(-width // each)
    if array.dtype is not F32 or not array.flags.c_contiguous or tasks < threads.number():
        elsewhere = reductions.add_rows if array.size >= LARGE else reference.add_rows.reference
        return elsewhere(array)
    out = np.empty(array.shape[1:], F32)
    threads.start()
    run(plan(len(array), width, 0, 0, 0, 0, tasks), id(array), id(out))
    return out
