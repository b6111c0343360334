"""The greatest element of each window, and its gradient, in the place of `wengert.kernels.pooling`.

A task is one plane (an image's channel). Windows side by side are a vector: each tap of the kernel is loaded for all of
them at once and compared with what is held. What lies outside of the image is masked; where no window reaches there,
which is the usual case, a window of few taps is written out.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels.cpu import native, threads
from wengert.kernels.cpu.function import kernel, plan, task

FIELDS = ("height", "width", "out_height", "out_width", "rows", "columns", "tasks", "down", "across", "above", "left",
          "row_gap", "column_gap")  # fmt: skip
GRADIENT_FIELDS = ("size", "out_size", *["unused"] * 4, "tasks")
FEW = 9  # taps of a window that is written out


def maximum_function(lanes, step):
    """Values and flat positions; `step` is the distance of windows side by side if that is 1 or 2, else None."""
    f, field, (x, values, positions) = task(FIELDS, 3, lanes)
    whole, flag, vector = f"<{lanes} x i32>", f"<{lanes} x i1>", f.vector
    height, width, out_height, out_width = (field[k] for k in FIELDS[:4])
    plane = f.at(x, f.mul("%task", f.mul(height, width)))
    size = f.mul(out_height, out_width)
    first = f.mul("%task", size)

    def counted(start, by=1):
        places = ", ".join(f"i32 {by * j}" for j in range(lanes))
        return f.op(f"add {whole} {f.everywhere(start)}, <{places}>")

    def within(places):
        return f.op(f"icmp ult {whole} {places}, {f.everywhere(width)}")

    def tap(line, start, places, valid):
        """One tap of all windows: from `start` on, `across` elements apart."""
        if step == 1:
            return f.load_some(f.at(line, start), valid)
        if step == 2:
            low = f.load_some(f.at(line, start), within(counted(start)))
            high = f.load_some(f.at(line, start, lanes), within(counted(f.add(start, lanes))))
            picks = ", ".join(f"i32 {2 * j}" for j in range(lanes))
            return f.op(f"shufflevector {vector} {low}, {vector} {high}, {whole} <{picks}>")
        offsets = f.op(f"sext {whole} {places} to <{lanes} x i64>")
        pointers = f.op(f"getelementptr float, ptr {line}, <{lanes} x i64> {offsets}")
        return f.intrinsic(f"masked.gather.v{lanes}f32.v{lanes}p0", vector, (f"<{lanes} x ptr>", pointers), ("i32", 4),
                           (flag, valid), (vector, "zeroinitializer"))  # fmt: skip

    best, where = f.variable(), f.variable(whole)
    with f.loop(0, out_height) as oy, f.loop(0, out_width, lanes) as ox:
        active = f.first(f.sub(out_width, ox))
        f.store(f.number(float("-inf")), best)
        f.store("splat (i32 -1)", where, whole)
        top = f.sub(f.mul(oy, field["down"]), field["above"])
        corner = f.sub(f.mul(ox, field["across"]), field["left"])
        apart = f.op(f"mul {whole} {counted(0)}, {f.everywhere(field['across'])}")
        with f.loop(0, field["rows"]) as ky:
            y = f.add(top, f.mul(ky, field["row_gap"]))
            start_of_line = f.mul(y, width)

            def along(start_of_line=start_of_line):
                with f.loop(0, field["columns"]) as kx:
                    start = f.add(corner, f.mul(kx, field["column_gap"]))
                    places = f.op(f"add {whole} {apart}, {f.everywhere(start)}")
                    valid = f.op(f"and {flag} {active}, {within(places)}")
                    value = tap(f.at(plane, start_of_line), start, places, valid)
                    held, held_at = f.load(best), f.load(where, whole)
                    begins = f.op(f"icmp slt {whole} {held_at}, zeroinitializer")  # the first of the window there is
                    taken = f.op(f"or {flag} {better(f, value, held)}, {begins}")
                    taken = f.op(f"and {flag} {taken}, {valid}")
                    at = f.op(f"add {whole} {places}, {f.everywhere(start_of_line)}")
                    f.store(f.op(f"select {flag} {taken}, {vector} {value}, {vector} {held}"), best)
                    f.store(f.op(f"select {flag} {taken}, {whole} {at}, {whole} {held_at}"), where, whole)

            f.where(f.op(f"icmp ult i64 {y}, {height}"), along)
        place = f.add(first, f.add(f.mul(oy, out_width), ox))
        f.store_some(f.load(best), f.at(values, place), active)
        found = f.intrinsic(f"smax.v{lanes}i32", whole, (whole, f.load(where, whole)), (whole, "zeroinitializer"))
        store_positions(f, found, positions, place, active)
    return f


def inner_maximum_function(lanes, step, rows, columns):
    """As `maximum_function`, for windows of rows × columns that lie within the image, `step` (1 or 2) apart."""
    f, field, (x, values, positions) = task(FIELDS, 3, lanes)
    whole, flag, vector = f"<{lanes} x i32>", f"<{lanes} x i1>", f.vector
    height, width, out_height, out_width = (field[k] for k in FIELDS[:4])
    plane = f.at(x, f.mul("%task", f.mul(height, width)))
    first = f.mul("%task", f.mul(out_height, out_width))
    down = field["down"]

    def every(number):
        return f"<{', '.join(f'i32 {number(j)}' for j in range(lanes))}>"

    apart = every(lambda j: step * j)
    with f.loop(0, out_width, lanes) as ox:
        active = f.first(f.sub(out_width, ox))
        corner = f.mul(ox, step)
        left = f.sub(width, corner)
        masks = [f.first(f.sub(left, offset)) for offset in range(0, step * lanes, lanes)]
        with f.loop(0, out_height) as oy:
            best = where = None
            start = f.add(f.mul(f.mul(oy, down), width), corner)
            for _ in range(rows):
                loaded = {}
                for kx in range(columns):
                    turn, shift = kx % step, kx - kx % step
                    if shift not in loaded:
                        line = f.at(plane, start, shift)
                        reach = masks if not shift else [f.first(f.sub(left, shift + k * lanes)) for k in range(step)]
                        loaded[shift] = [f.load_some(f.at(line, k * lanes), m) for k, m in enumerate(reach)]
                    parts = loaded[shift]
                    value = parts[0]
                    if step == 2:
                        picks = every(lambda j, turn=turn: 2 * j + turn)
                        value = f.op(f"shufflevector {vector} {parts[0]}, {vector} {parts[1]}, {whole} {picks}")
                    at = f.op(f"add {whole} {f.everywhere(f.add(start, kx))}, {apart}")
                    if best is None:
                        best, where = value, at
                        continue
                    taken = better(f, value, best)
                    best = f.op(f"select {flag} {taken}, {vector} {value}, {vector} {best}")
                    where = f.op(f"select {flag} {taken}, {whole} {at}, {whole} {where}")
                start = f.add(start, width)
            place = f.add(first, f.add(f.mul(oy, out_width), ox))
            f.store_some(best, f.at(values, place), active)
            store_positions(f, where, positions, place, active)
    return f


def better(f, value, held):
    """Where a value takes the place of the one held: it is greater, or NaN."""
    greater, nan = (f.op(f"fcmp {how} {f.vector} {value}, {other}") for how, other in (("ogt", held), ("uno", value)))
    return f.op(f"or {f.mask} {greater}, {nan}")


def store_positions(f, where, positions, place, active):
    wide = f"<{f.lanes} x i64>"
    to = f.op(f"getelementptr i64, ptr {positions}, i64 {place}")
    long = f.op(f"zext <{f.lanes} x i32> {where} to {wide}")
    f.intrinsic(f"masked.store.v{f.lanes}i64.p0", "void", (wide, long), ("ptr", to), ("i32", 8), (f.mask, active))


def gradient_function(lanes):
    """Clear a plane, then add each cotangent to the place of its maximum."""
    f, field, (g, positions, out) = task(GRADIENT_FIELDS, 3, lanes)
    begin = f.mul("%task", field["out_size"])
    plane = f.at(out, f.mul("%task", field["size"]))
    f.do(f"call void @llvm.memset.p0.i64(ptr {plane}, i8 0, i64 {f.mul(field['size'], 4)}, i1 false)")
    with f.loop(begin, f.add(begin, field["out_size"])) as k:
        where = f.op(f"load i64, ptr {f.op(f'getelementptr i64, ptr {positions}, i64 {k}')}")
        place = f.at(plane, where)
        f.store(f.op(f"fadd float {f.load(place, 'float')}, {f.load(f.at(g, k), 'float')}"), place, "float")
    return f


@cache
def compiled(make, *options):
    return kernel([make(native.target().vector_bytes // 4, *options)], 3)


def max_pool_with_indices(x, window, stride, padding, dilation, out_space):
    """Values and positions for planes of float32 in rows; None for others."""
    if x.dtype != np.float32 or len(window) != 2 or not x.flags.c_contiguous or not x.size or 0 in out_space:
        return None
    if prod(x.shape[2:]) >= 1 << 30:
        return None
    planes = x.shape[0] * x.shape[1]
    numbers = (*x.shape[2:], *out_space, *window, planes, *stride, *padding, *dilation)
    values, positions = np.empty((*x.shape[:2], *out_space), x.dtype), np.empty((*x.shape[:2], *out_space), np.int64)
    threads.start()
    inside = not any(padding) and all(
        (out - 1) * step + k <= n for n, out, step, k in zip(x.shape[2:], out_space, stride, window, strict=True)
    )
    if inside and stride[1] in (1, 2) and prod(window) <= FEW and tuple(dilation) == (1, 1):
        run = compiled(inner_maximum_function, stride[1], *window)
    else:
        run = compiled(maximum_function, stride[1] if stride[1] in (1, 2) else None)
    run(plan(*numbers), id(x), id(values), id(positions))
    return values, positions


def max_pool_backward(g, indices, space):
    """The cotangent of the image, likewise."""
    if not (g.dtype == np.float32 and g.flags.c_contiguous and indices.flags.c_contiguous and g.size):
        return None
    size, out_size = prod(space), prod(g.shape[2:])
    out = np.empty((*g.shape[:2], *space), g.dtype)
    threads.start()
    numbers = plan(size, out_size, 0, 0, 0, 0, g.shape[0] * g.shape[1])
    compiled(gradient_function)(numbers, id(g), id(indices), id(out))
    return out
