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

FIELDS = ("height", "width", "out_height", "out_width", "rows", "parts", "tasks", "down_taps", "across_taps")


def resize_function(lanes):
    """out = taps across · (taps down · source); a tap of -1 reads nothing."""
    f, field, (source, down, down_weight, across, across_weight, scratch, out) = task(FIELDS, 7, lanes)
    height, width, out_height, out_width, rows, parts = (field[k] for k in FIELDS[:6])
    whole, pointers = f"<{lanes} x i32>", f"<{lanes} x ptr>"
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

    with f.loop(first, f.minimum(f.add(first, rows), out_height)) as row:
        with f.loop(0, width, lanes) as column:
            here = f.first(f.sub(width, column))

            def tap_down(k, row=row, column=column, here=here):
                place = f.add(f.mul(k, out_height), row)
                which = whole_number(f.at(down, place))
                there = f.op(f"icmp sge i64 {which}, 0")
                mask = f.op(f"select i1 {there}, {f.mask} {here}, {f.mask} zeroinitializer")
                value = f.load_some(f.at(plane, f.mul(which, width), column), mask)
                return value, f.broadcast(f.load(f.at(down_weight, place), "float"))

            f.store_some(added(field["down_taps"], tap_down), f.at(line, column), here)
        with f.loop(0, out_width, lanes) as column:
            here = f.first(f.sub(out_width, column))

            def tap_across(k, column=column, here=here):
                place = f.add(f.mul(k, out_width), column)
                at = f.intrinsic(f"masked.load.v{lanes}i32.p0", whole, ("ptr", f.at(across, place)), ("i32", 4),
                                 (f.mask, here), (whole, "splat (i32 -1)"))  # fmt: skip
                there = f.op(f"icmp sge {whole} {at}, zeroinitializer")
                places = f.op(f"getelementptr float, ptr {line}, {whole} {at}")
                value = f.intrinsic(f"masked.gather.v{lanes}f32.v{lanes}p0", f.vector, (pointers, places), ("i32", 4),
                                    (f.mask, there), (f.vector, "zeroinitializer"))  # fmt: skip
                return value, f.load_some(f.at(across_weight, place), here)

            place = f.at(result, f.mul(row, out_width), column)
            f.store_some(added(field["across_taps"], tap_across), place, here)
    return f


@cache
def compiled():
    return kernel([resize_function(native.target().vector_bytes // 4)], 7)


def filled(pair, size):
    """(index, weight) of taps as the kernel reads them; None leaves an axis as it is."""
    index, weight = pair or (np.arange(size)[None], None)
    weight = np.ones(index.shape) if weight is None else weight
    return np.ascontiguousarray(index, np.int32), np.ascontiguousarray(weight, np.float32)


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
    space, planes = x.shape[-2:], prod(x.shape[:-2])
    (down, down_weight), (across, across_weight) = filled(down, space[0]), filled(across, space[1])
    size = down.shape[1], across.shape[1]
    rows = min(max(1, TASK // size[1]), size[0])
    parts = -(-size[0] // rows)
    out = np.empty((*x.shape[:-2], *size), np.float32)
    scratch = np.empty((planes * parts, space[1]), np.float32)
    numbers = plan(*space, *size, rows, parts, planes * parts, len(down), len(across))
    arrays = (np.ascontiguousarray(x), down, down_weight, across, across_weight, scratch, out)
    compiled()(numbers, *map(id, arrays))
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
