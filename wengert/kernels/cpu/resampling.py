"""Resizing planes and its transpose, in the place of `wengert.kernels.resampling`.

A task makes some rows of a plane. For each it adds up the rows of the source that its taps name, vectors of them, into
one row that stays in the first-level cache; then every element adds up those of that row that its own taps name.

The transpose is such a map too: the taps of a source's element are the places that read it.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.expressions import F32
from wengert.kernels.cpu.function import kernel, plan, task
from wengert.kernels.cpu.pointwise import TASK

FIELDS = ("height", "width", "out_height", "out_width", "rows", "parts", "tasks", "down_taps", "across_taps", "pitch")


def resize_function(lanes, has_down):
    """out = taps across · (taps down · source), or without taps down; a tap of -1 reads nothing."""
    f, field, (source, down, down_weight, across, across_weight, scratch, out) = task(FIELDS, 7, lanes)
    height, width, out_height, out_width, rows, parts = (field[k] for k in FIELDS[:6])
    whole = f"<{lanes} x i32>"
    plane = f.at(source, f.mul(f.div("%task", parts), f.mul(height, width)))
    result = f.at(out, f.mul(f.div("%task", parts), f.mul(out_height, out_width)))
    line = f.at(scratch, f.mul("%task", width))
    first = f.mul(f.rem("%task", parts), rows)
    total = f.variable()

    def added(count, one):
        """Sum ``one(k)`` = (value, weight) over k below `count`."""
        f.store("zeroinitializer", total)
        with f.loop(0, count) as k:
            value, weight = one(k)
            f.store(f.fused(value, weight, f.load(total)), total)
        return f.load(total)

    def whole_number(pointer):
        return f.op(f"sext i32 {f.load(pointer, 'i32')} to i64")

    def add_rows(row):
        with f.loop(0, width, lanes) as column:
            here = f.first(f.sub(width, column))

            def tap_down(k, column=column, here=here):
                place = f.add(f.mul(k, out_height), row)
                which = whole_number(f.at(down, place))
                there = f.op(f"icmp sge i64 {which}, 0")
                mask = f.op(f"select i1 {there}, {f.mask} {here}, {f.mask} zeroinitializer")
                value = f.load_some(f.at(plane, f.mul(which, width), column), mask)
                return value, f.broadcast(f.load(f.at(down_weight, place), "float"))

            f.store_some(added(field["down_taps"], tap_down), f.at(line, column), here)

    with f.loop(first, f.minimum(f.add(first, rows), out_height)) as row:
        if has_down:
            add_rows(row)
        else:
            line = f.at(plane, f.mul(row, width))
        with f.loop(0, out_width, lanes) as column:
            here = f.first(f.sub(out_width, column))

            def tap_across(k, column=column, line=line):
                place, value = f.add(f.mul(k, field["pitch"]), column), "poison"
                for lane in range(lanes):  # which is quicker than the processor's own gathers
                    which = f.op(f"call i64 @llvm.smax.i64(i64 {whole_number(f.at(across, place, lane))}, i64 0)")
                    element = f.load(f.at(line, which), "float")
                    value = f.op(f"insertelement {f.vector} {value}, float {element}, i64 {lane}")
                there = f.op(f"icmp sge {whole} {f.load(f.at(across, place), whole)}, zeroinitializer")
                value = f.op(f"select {f.mask} {there}, {f.vector} {value}, {f.vector} zeroinitializer")
                return value, f.load(f.at(across_weight, place))

            place = f.at(result, f.mul(row, out_width), column)
            f.store_some(added(field["across_taps"], tap_across), place, here)
    return f


@cache
def compiled(has_down):
    return kernel([resize_function(native.target().vector_bytes // 4, has_down)], 7)


def filled(pair, size, multiple=1):
    """(index, weight) of taps as the kernel reads them; None leaves an axis as it is.

    There are `multiple` of them, or twice as many, …: those beyond the last read nothing.
    """
    index, weight = pair or (np.arange(size)[None], None)
    shape = len(index), -(-index.shape[1] // multiple) * multiple
    indices, weights = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
    indices[:, : index.shape[1]], weights[:, : index.shape[1]] = index, 1 if weight is None else weight
    return indices, weights


def transposed(pair, size):
    """Taps, for each of `size` places that the given ones read, of the places that read it."""
    if pair is None:
        return None
    index, weight = pair
    count = index.shape[1]
    read, reader = index.reshape(-1), np.tile(np.arange(count), len(index))
    weight = np.ones(read.shape) if weight is None else weight.reshape(-1)
    used = weight.nonzero()[0]
    used = used[np.argsort(read[used], kind="stable")]
    read = read[used]
    starts = np.searchsorted(read, np.arange(size))
    slot = np.arange(len(read)) - starts[read]
    shape = (int(slot.max(initial=0)) + 1, size)
    places, weights = np.full(shape, -1), np.zeros(shape)
    places[slot, read], weights[slot, read] = reader[used], weight[used]
    return places, weights


def resized(x, down, across):
    """Planes (…, H, W) with taps applied down their columns and across their rows."""
    space, planes, has_down = x.shape[-2:], prod(x.shape[:-2]), down is not None
    size = (len(down[0][0]) if down else space[0]), (len(across[0][0]) if across else space[1])
    outer = *x.shape[:-2], *size
    if not has_down:  # rows are all alike: those of one plane
        planes, space, size = 1, (planes * space[0], space[1]), (planes * space[0], size[1])
    lanes = native.target().vector_bytes // 4
    (down, down_weight), (across, across_weight) = filled(down, 1), filled(across, space[1], lanes)
    rows = min(max(1, TASK // max(size[1], space[1])), size[0])
    parts = -(-size[0] // rows)
    out = np.empty(outer, np.float32)
    scratch = np.empty((planes * parts * has_down, space[1]), np.float32)
    numbers = plan(*space, *size, rows, parts, planes * parts, len(down), len(across), across.shape[1])
    arrays = (np.ascontiguousarray(x), down, down_weight, across, across_weight, scratch, out)
    compiled(has_down)(numbers, *map(id, arrays))
    return out


def resample(x, taps):
    """As the reference; None unless `x` is of single precision."""
    if x.dtype != F32 or not x.size:
        return None
    *outer, down, across = (None, *taps)[-max(len(taps), 2) :]
    if outer and outer[0] is not None:  # the depth: as rows of whole planes
        batch, channels, depth, *plane = x.shape
        x = resized(x.reshape(batch, channels, depth, -1), outer[0], None).reshape(batch, channels, -1, *plane)
    if len(taps) == 1:
        return resized(x[..., None, :], None, across)[..., 0, :]
    return x if down is across is None else resized(x, down, across)


def resample_transpose(g, taps, space):
    """As the reference; None unless `g` is of single precision."""
    if g.dtype != F32 or not g.size:
        return None
    return resample(g, [transposed(pair, size) for pair, size in zip(taps, space, strict=True)])
