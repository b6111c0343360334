"""Convolutions of images with few channels, such as the first of a network, as they are written down.

A task computes a few filters for one image. Windows side by side are a vector; each tap of the kernel is a load for
all of them and one multiplication for each filter. The gradient of the weight is the same walk with the sums turned
round: a vector of partial sums for each tap and filter stays in registers while the images pass.

All taps are places relative to a window's corner, so channels, rows and dilation are one list of offsets.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels.cpu import native, threads
from wengert.kernels.cpu.function import kernel, plan, task

FIELDS = ("filters", "taps", "out_height", "out_width", "image", "line", "tasks", "blocks")
GRADIENT_FIELDS = (*FIELDS, "images", "each", "padded_filters", "padded_taps")
FILTERS = 8  # of a task
PARTS = 16  # into which the images are divided for the gradient of the weight, at most


def together(lanes):
    """(filters, taps) whose partial sums fit into the registers."""
    return (3, 8) if lanes == 16 else (2, 4)


def offset_of(f, offsets, k):
    return f.op(f"load i64, ptr {f.op(f'getelementptr i64, ptr {offsets}, i64 {k}')}")


def forward_function(lanes):
    f, field, (x, w, bias, offsets, out) = task(FIELDS, 5, lanes)
    filters, taps, height, width = (field[k] for k in FIELDS[:4])
    image, first = f.div("%task", field["blocks"]), f.mul(f.rem("%task", field["blocks"]), FILTERS)
    seen, size = f.at(x, f.mul(image, field["image"])), f.mul(height, width)
    # Beyond the last filter, the last once more.
    mine = [f.minimum(f.add(first, j), f.sub(filters, 1)) for j in range(FILTERS)]
    weights = [f.at(w, f.mul(o, taps)) for o in mine]
    planes = [f.at(out, f.mul(f.add(f.mul(image, filters), o), size)) for o in mine]
    starts = [f.broadcast(f.load(f.at(bias, o), "float")) for o in mine]
    sums = [f.variable() for _ in mine]
    line_step = field["line"]
    with f.loop(0, height) as oy:
        line = f.at(seen, f.mul(oy, line_step))
        with f.loop(0, width, lanes) as ox:
            active = f.first(f.sub(width, ox))
            corner = f.at(line, ox)
            for start, place in zip(starts, sums, strict=True):
                f.store(start, place)
            with f.loop(0, taps) as k:
                values = f.load_some(f.at(corner, offset_of(f, offsets, k)), active)
                for weight, place in zip(weights, sums, strict=True):
                    value = f.broadcast(f.load(f.at(weight, k), "float"))
                    f.store(f.fused(value, values, f.load(place)), place)
            there = f.add(f.mul(oy, width), ox)
            for plane, place in zip(planes, sums, strict=True):
                f.store_some(f.load(place), f.at(plane, there), active)
    return f


def weight_function(lanes):
    f, field, (g, x, offsets, out) = task(GRADIENT_FIELDS, 4, lanes)
    filters, height, width = field["filters"], field["out_height"], field["out_width"]
    some, few = together(lanes)
    part, first = f.div("%task", field["blocks"]), f.mul(f.rem("%task", field["blocks"]), some)
    begin = f.mul(part, field["each"])
    end = f.minimum(f.add(begin, field["each"]), field["images"])
    size, image, line_step = f.mul(height, width), field["image"], field["line"]
    mine = [f.minimum(f.add(first, j), f.sub(filters, 1)) for j in range(some)]
    padded_taps = field["padded_taps"]
    target = f.at(out, f.mul(f.add(f.mul(part, field["padded_filters"]), first), padded_taps))
    sums = {(j, k): f.variable() for j in range(some) for k in range(few)}
    with f.loop(0, padded_taps, few) as tap:
        places = [offset_of(f, offsets, f.add(tap, k)) for k in range(few)]
        for place in sums.values():
            f.store("zeroinitializer", place)
        with f.loop(begin, end) as n:
            seen = f.at(x, f.mul(n, image))
            planes = [f.at(g, f.mul(f.add(f.mul(n, filters), o), size)) for o in mine]
            with f.loop(0, height) as oy:
                line = f.at(seen, f.mul(oy, line_step))
                with f.loop(0, width, lanes) as ox:
                    active, corner = f.first(f.sub(width, ox)), f.at(line, ox)
                    there = f.add(f.mul(oy, width), ox)
                    shares = [f.load_some(f.at(plane, there), active) for plane in planes]
                    for k, offset in enumerate(places):
                        values = f.load_some(f.at(corner, offset), active)
                        for j, share in enumerate(shares):
                            f.store(f.fused(share, values, f.load(sums[j, k])), sums[j, k])
        for (j, k), place in sums.items():
            total = f.intrinsic(f"vector.reduce.fadd.v{lanes}f32", "float", ("float", "0.0"), (f.vector, f.load(place)))
            f.store(total, f.at(target, f.mul(j, padded_taps), f.add(tap, k)), "float")
    return f


@cache
def compiled(make):
    return kernel([make(native.target().vector_bytes // 4)], 5 if make is forward_function else 4)


@cache
def offsets_of(channels, kernel_shape, dilation, size, padded):
    """Of each tap (channel by channel, row by row) from the corner of its window; zeros up to `padded` of them."""
    height, width = size
    c, y, x = np.ogrid[:channels, : kernel_shape[0], : kernel_shape[1]]
    offsets = (c * height * width + y * dilation[0] * width + x * dilation[1]).reshape(-1)
    return np.concatenate([offsets, np.zeros(padded - len(offsets), np.int64)]).astype(np.int64)


def bordered(x, padding):
    """The images with zeros around them, in rows."""
    if not any(padding):
        return np.ascontiguousarray(x)
    high, wide = padding
    n, c, height, width = x.shape
    out = np.zeros((n, c, height + 2 * high, width + 2 * wide), x.dtype)
    out[:, :, high : high + height, wide : wide + width] = x
    return out


def correlate(x, w, bias, stride, padding, dilation, out):
    """x (N, C, H, W) with w (O, C, kh, kw), plus bias (O,) or None, in `out` (N, O, *space)."""
    x = bordered(x, padding)
    (n, c, *size), (o, _, *shape), space = x.shape, w.shape, out.shape[2:]
    taps, blocks = prod(w.shape[1:]), -(-o // FILTERS)
    numbers = plan(o, taps, *space, c * prod(size), stride[0] * size[1], n * blocks, blocks)
    offsets = offsets_of(c, tuple(shape), tuple(dilation), tuple(size), taps)
    w = np.ascontiguousarray(w)
    bias = np.zeros(o, x.dtype) if bias is None else np.ascontiguousarray(bias)
    threads.start()
    compiled(forward_function)(numbers, id(x), id(w), id(bias), id(offsets), id(out))
    return out


def correlate_weight(g, x, shape, stride, padding, dilation):
    """The gradient (O, C, *shape) of the weight for g (N, O, *space)."""
    g, x = np.ascontiguousarray(g), bordered(x, padding)
    (n, o, *space), (_, c, *size) = g.shape, x.shape
    some, few = together(native.target().vector_bytes // 4)
    taps, blocks, each = c * prod(shape), -(-o // some), -(-n // PARTS)
    parts, padded_taps = -(-n // each), -(-taps // few) * few
    numbers = plan(o, taps, *space, c * prod(size), stride[0] * size[1], parts * blocks, blocks, n, each,
                   blocks * some, padded_taps)  # fmt: skip
    offsets = offsets_of(c, tuple(shape), tuple(dilation), tuple(size), padded_taps)
    partial = np.empty((parts, blocks * some, padded_taps), g.dtype)
    threads.start()
    compiled(weight_function)(numbers, id(g), id(x), id(offsets), id(partial))
    return np.add.reduce(partial[:, :o, :taps], 0, np.float64).astype(g.dtype).reshape(o, c, *shape)
