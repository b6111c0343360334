"""Copies of large arrays, between such strides as are worth it.

Where both arrays run in steps of one element along the same axis, the source backwards or repeating one perhaps, a
copy is an elementwise kernel without a formula, and elements of any kind are moved as whole numbers of their size.
Where each has such an axis, but another one, a copy is made of transposed squares, of elements of 4 bytes. The rest is
NumPy's.
"""

from functools import cache, lru_cache
from math import prod

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.function import kernel, plan, task
from wengert.kernels.cpu.pointwise import SHORTEST, Kernel, Layout
from wengert.kernels.cpu.products import TRANSPOSE, addresses, transpose

KINDS = {size: np.dtype(f"i{size}") for size in (1, 2, 4, 8)}
COPY = Kernel("copy", np.positive, lambda x: x, identity=True)


def fill(target, source):
    """``target[...] = source``; None where it isn't done."""
    kind = KINDS.get(target.itemsize)
    if kind is None or target.dtype is not source.dtype or target.shape != source.shape or target.dtype.hasobject:
        return None
    steps = [(abs(t), t, s) for n, t, s in zip(target.shape, target.strides, source.strides, strict=True) if n > 1]
    if not steps:
        return None
    _, step, other = min(steps)
    if step != kind.itemsize:
        return None
    if other in (0, step, -step):
        return target if COPY.into(target.view(kind), source.view(kind)) else None
    return turn(target, source)


# --- an axis turned into another --------------------------------------------------------------------------------------

SIZE = 4  # bytes of an element
BLOCK = 64  # rows and columns that are transposed at once
FIELDS = ("rows", "columns", "from", "to", "strips", "inner", "tasks", "from0", "from1", "to0", "to1")


def turning_function(lanes):
    """to[j·to + i] = from[i·from + j] for a strip of columns j, of one of the matrices that lie along two more axes."""
    f, field, (source, target) = task(FIELDS, 2, lanes)
    matrix, column = f.div("%task", field["strips"]), f.mul(f.rem("%task", field["strips"]), BLOCK)
    place = f.div(matrix, field["inner"]), f.rem(matrix, field["inner"])
    source = f.at(source, *(f.mul(place[k], field[f"from{k}"]) for k in (0, 1)), column)
    target = f.at(target, *(f.mul(place[k], field[f"to{k}"]) for k in (0, 1)), f.mul(column, field["to"]))
    width = f.minimum(BLOCK, f.sub(field["columns"], column))
    with f.loop(0, field["rows"], BLOCK) as i:
        height = f.minimum(BLOCK, f.sub(field["rows"], i))
        transpose(f, f.at(source, f.mul(i, field["from"])), field["from"], f.at(target, i), field["to"], height, width)
    return f


@cache
def turning():
    return kernel([turning_function(native.target().vector_bytes // 4)], 2, **addresses(TRANSPOSE))


@lru_cache(1024)
def turning_plan(shape, from_strides, to_strides):
    """The plan for arrays that lie like this, or None."""
    if any(s % SIZE for s in (*from_strides, *to_strides)):
        return None
    layout = Layout(shape, (from_strides, to_strides), (SIZE, SIZE))
    axes, (rows, (step, to_step)) = layout.outer, (layout.inner, layout.steps)
    along = next((axis for axis in axes if axis[1][0] == SIZE), None)
    if along is None or to_step != SIZE or min(rows, along[0]) < SHORTEST or len(axes) > 3:
        return None
    columns, (_, to) = along
    others = [(1, (0, 0))] * (3 - len(axes)) + [axis for axis in axes if axis is not along]
    strips = -(-columns // BLOCK)
    moves = [steps[k] // SIZE for k in (0, 1) for _, steps in others]
    tasks = strips * prod(n for n, _ in others)
    return plan(rows, columns, step // SIZE, to // SIZE, strips, others[1][0], tasks, *moves)


def turn(target, source):
    """`fill` where the axis along which the source's elements are neighbours is another than the target's."""
    aligned = target.flags.behaved and source.flags.aligned  # behaved: writable, too
    if target.itemsize != SIZE or not aligned or np.may_share_memory(target, source):
        return None
    numbers = turning_plan(target.shape, source.strides, target.strides)
    if numbers is None:
        return None
    turning()(numbers, id(source), id(target))
    return target
