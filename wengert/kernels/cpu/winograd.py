"""3×3 convolutions with a quarter of the multiplications (Winograd 1980; Lavin and Gray 2016).

A 4×4 tile of a 3×3 convolution's result is a product of polynomials in two variables. Evaluated at six points in each,
a 6×6 tile of data and the weight are multiplied point by point, 36 multiplications instead of 144, and the result is
interpolated::

    Y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A

Summed over channels, the products at one of the 36 points are a matrix product (tiles × channels) · (channels ×
filters). All three maps of a convolution (see `wengert.kernels.convolution`) are had: the data's cotangent is a
convolution with the mirrored weight; the weight's is ``Gᵀ [ (A g Aᵀ)ᵀ · (Bᵀ d B) ] G``, summed over tiles.

The points are 0, ±3/4, ±3/2 and ∞. The usual 0, ±1, ±2, ∞ lose half a digit more; with these a float32 result of
64 channels is within 5e-6 of its root mean square (1.2e-6 when added up directly), and all coefficients are exact.

Everything is one compiled function (`wengert_parallel` runs it for a share of the tiles in each thread): a row of tiles
is copied channels-last, transformed, multiplied while it is in the second-level cache, transformed back, written out.
"""

import ctypes
from fractions import Fraction
from functools import cache

import numpy as np

from wengert.kernels.cpu import native, threads
from wengert.kernels.cpu.function import Fields, Function, module
from wengert.kernels.cpu.products import (
    ADD_PRODUCT,
    MULTIPLY,
    ROWS,
    TRANSPOSE,
    addresses,
    call,
    panel_widths,
    transpose,
)

TILE, POINTS = 4, 6
TAPS = POINTS * POINTS
CACHE_BYTES = 1 << 20  # of transformed data and products, for one thread

A, B = Fraction(3, 4), Fraction(3, 2)  # the points are 0, ±A, ±B, ∞


def weight_matrix():
    """G (6, 3): a row of the kernel evaluated at the points, with the denominators of the interpolation."""
    scale = {0: A * A * B * B, A: 2 * A * A * (A * A - B * B), B: 2 * B * B * (B * B - A * A)}
    rows = [[p**k / scale[abs(p)] for k in range(3)] for p in (Fraction(0), A, -A, B, -B)]
    return np.array([*rows, [0, 0, 1]], float)


# --- the transforms in one dimension ----------------------------------------------------------------------------------


def pair(f, even, odd):
    return f.plus(even, odd), f.minus(even, odd)


def data_transform(f, d):
    """Bᵀ d: six values of the data to the six points."""
    both, product = A * A + B * B, A * A * B * B
    at_a = pair(f, f.minus(d[4], f.times(B * B, d[2])), f.minus(f.times(A, d[3]), f.times(A * B * B, d[1])))
    at_b = pair(f, f.minus(d[4], f.times(A * A, d[2])), f.minus(f.times(B, d[3]), f.times(B * A * A, d[1])))
    at_0 = f.plus(f.minus(f.times(product, d[0]), f.times(both, d[2])), d[4])
    at_infinity = f.plus(f.minus(f.times(product, d[1]), f.times(both, d[3])), d[5])
    return [at_0, *at_a, *at_b, at_infinity]


def result_transform(f, m):
    """Aᵀ m: the six points to four values of the result."""
    (sum_a, difference_a), (sum_b, difference_b) = (pair(f, m[k], m[k + 1]) for k in (1, 3))
    return [
        f.plus(m[0], f.plus(sum_a, sum_b)),
        f.plus(f.times(A, difference_a), f.times(B, difference_b)),
        f.plus(f.times(A * A, sum_a), f.times(B * B, sum_b)),
        f.plus(f.plus(f.times(A**3, difference_a), f.times(B**3, difference_b)), m[5]),
    ]


def cotangent_transform(f, y):
    """A y: four values of the result's cotangent to the six points."""
    at_a, at_b = (
        pair(f, f.plus(y[0], f.times(p * p, y[2])), f.plus(f.times(p, y[1]), f.times(p**3, y[3]))) for p in (A, B)
    )
    return [y[0], *at_a, *at_b, y[3]]


TRANSFORMS = {data_transform: (POINTS, POINTS), result_transform: (POINTS, TILE), cotangent_transform: (TILE, POINTS)}


@cache
def transform_address(transform):
    """The address of the function that `transform_function` writes."""
    return native.compile_text(module([transform_function(transform, lanes())]), ["transform"])["transform"]


def transform_function(transform, lanes):
    """A function that transforms one row of tiles: all tiles, all channels, in both dimensions.

    One side is a strip of pixels, channels last: pixel (r, s) of tile t at ``strip + (r·width + 4·t + s)·channels``.
    The other holds the points: point k of tile t at ``points + (k·rows + t)·channels``.
    """
    parameters = "ptr strip, ptr points, i64 tiles, i64 width, i64 channels, i64 rows, ptr bias"
    size_in, size_out = TRANSFORMS[transform]
    f = Function("@@transform", parameters, lanes, internal=False)
    from_strip = size_out == POINTS
    with f.loop(0, "%tiles") as t, f.loop(0, "%channels", lanes) as c:
        corner = f.at("%strip", f.mul(f.mul(t, TILE), "%channels"), c)
        row_step = f.mul("%width", "%channels")
        pixels = lambda r, s: f.at(corner, f.mul(r, row_step), f.mul(s, "%channels"))
        first = f.at("%points", f.mul(t, "%channels"), c)
        point_step = f.mul("%rows", "%channels")
        points = lambda r, s: f.at(first, f.mul(r * POINTS + s, point_step))
        source, destination = (pixels, points) if from_strip else (points, pixels)
        columns = [transform(f, [f.load(source(r, s)) for r in range(size_in)]) for s in range(size_in)]
        shift = f.load(f.at("%bias", c)) if transform is result_transform else None
        for r in range(size_out):
            for s, value in enumerate(transform(f, [column[r] for column in columns])):
                f.store(f.plus(value, shift) if shift else value, destination(r, s))
    return f


# --- pixels in and out ------------------------------------------------------------------------------------------------


def copy_function(name, lanes):
    """to[i·to_step + j] = from[i·from_step + j]: what `transpose` does for pixels that are channels-last already."""
    f = Function(name, "ptr source, i64 from_step, ptr to, i64 to_step, i64 rows, i64 columns", lanes)
    size = f.mul("%columns", 4)
    with f.loop(0, "%rows") as i:
        source, to = f.at("%source", f.mul(i, "%from_step")), f.at("%to", f.mul(i, "%to_step"))
        f.do(f"call void @llvm.memcpy.p0.p0.i64(ptr align 4 {to}, ptr align 4 {source}, i64 {size}, i1 false)")
    return f


# --- the whole --------------------------------------------------------------------------------------------------------

# An image, as a task sees it: (pointer, images' step, channels' or pixels' step, rows' step, channels, height, width,
# padding above, padding left, padded channels, whether channels-last). Numbers in elements.
IMAGE = ("data", "image_step", "step", "row_step", "channels", "height", "width", "above", "left", "padded", "last")
SHARED = ("scratch", "scratch_step", "cleared", "tile_rows", "tiles", "images", "block", "tasks")


def fields_of(*images):
    return [*SHARED, *(f"{image}.{name}" for image in images for name in IMAGE), "matrix", "bias"]


def strip_function(name, rows_of_strip, inward, image, names, lanes):
    """Fill a strip (`rows_of_strip` rows of pixels, channels last) from an image, zeros outside; or write it out."""
    f = Function(name, "ptr argument, ptr strip, i64 row, i64 strip_width", lanes)
    field = Fields(f, names)
    n, y0 = f.div("%row", field["tile_rows"]), f.mul(f.rem("%row", field["tile_rows"]), TILE)
    width, channels, padded = (field[f"{image}.{k}"] for k in ("width", "channels", "padded"))
    whole = f.at(field.pointer(f"{image}.data"), f.mul(n, field[f"{image}.image_step"]))
    step, last = field[f"{image}.step"], f.op(f"icmp ne i64 {field[f'{image}.last']}, 0")
    left, above = field[f"{image}.left"], field[f"{image}.above"]
    row_step, height = field[f"{image}.row_step"], field[f"{image}.height"]
    with f.loop(0, rows_of_strip) as r:
        y = f.sub(f.add(y0, r), above)
        inside = f.op(f"icmp ult i64 {y}, {height}")
        strip = f.at("%strip", f.mul(f.add(f.mul(r, "%strip_width"), left if inward else 0), padded))
        pixels = f.at(whole, f.mul(y, row_step))
        way = (pixels, step, strip, padded) if inward else (strip, padded, pixels, step)
        lines = (channels, width) if inward else (width, channels)

        def copied():
            source, from_step, to, to_step = way
            f.do(f"call void @copy(ptr {source}, i64 {from_step}, ptr {to}, i64 {to_step}, i64 {width}, "
                 f"i64 {channels})")  # fmt: skip

        def written():
            f.where(last, copied, lambda: transpose(f, *way, *lines))

        def cleared():
            size = f.mul(f.mul(width, padded), 4)
            f.do(f"call void @llvm.memset.p0.i64(ptr align 4 {strip}, i8 0, i64 {size}, i1 false)")

        f.where(inside, written, cleared if inward else None)
    return f


def task(name, names, lanes, body):
    """A share of the rows of tiles: ``body(f, field, scratch, rows, first row)`` for each block of them."""
    f = Function(name, "ptr argument, i64 share", lanes, internal=False)
    field = Fields(f, names)
    all_rows = f.mul(field["images"], field["tile_rows"])
    first, last = (f.div(f.mul(all_rows, k), field["tasks"]) for k in ("%share", f.add("%share", 1)))
    scratch = f.at(field.pointer("scratch"), f.mul("%share", field["scratch_step"]))
    size = f.mul(field["cleared"], 4)
    f.do(f"call void @llvm.memset.p0.i64(ptr align 4 {scratch}, i8 0, i64 {size}, i1 false)")
    with f.loop(first, last, field["block"]) as row:
        rows = f.minimum(field["block"], f.sub(last, row))
        body(f, field, scratch, rows, row)
    return f


def padded_rows(f, tiles):
    """`tiles`, rounded up to whole passes of the product."""
    return f.mul(f.div(f.add(tiles, ROWS - 1), ROWS), ROWS)


def call_transform(f, transform, *arguments):
    """Write a call of what `transform_function` wrote."""
    kinds = ("ptr", "ptr", "i64", "i64", "i64", "i64", "ptr")
    call(f, f"wengert_{transform.__name__}", *zip(kinds, arguments, strict=True))


def transformed(f, field, transform, image, size, strip, points, rows, row, capacity):
    """Bring a block of an image to its points: pack each row of tiles and transform it."""
    tiles, padded = field["tiles"], field[f"{image}.padded"]
    width = f.add(f.mul(tiles, TILE), size - TILE)
    with f.loop(0, rows) as j:
        f.do(f"call void @{image}_strip(ptr %argument, ptr {strip}, i64 {f.add(row, j)}, i64 {width})")
        there = f.at(points, f.mul(f.mul(j, tiles), padded))
        call_transform(f, transform, strip, there, tiles, width, padded, capacity, "null")


def convolve_body(f, field, scratch, rows, row):
    c, o, tiles = field["x.padded"], field["y.padded"], field["tiles"]
    capacity = padded_rows(f, f.mul(field["block"], tiles))
    strip_in = scratch
    strip_out = f.at(strip_in, f.mul(f.mul(f.add(f.mul(tiles, TILE), POINTS - TILE), POINTS), c))
    data = f.at(strip_out, f.mul(f.mul(f.mul(tiles, TILE), TILE), o))
    products = f.at(data, f.mul(f.mul(capacity, TAPS), c))
    transformed(f, field, data_transform, "x", POINTS, strip_in, data, rows, row, capacity)
    used = padded_rows(f, f.mul(rows, tiles))
    matrix = field.pointer("matrix")
    with f.loop(0, TAPS) as tap:
        left, out = f.at(data, f.mul(tap, f.mul(capacity, c))), f.at(products, f.mul(tap, f.mul(capacity, o)))
        right = f.at(matrix, f.mul(tap, f.mul(c, o)))
        call(f, MULTIPLY, *(("ptr", a) for a in (left, right, out)), *(("i64", n) for n in (c, 1, o, c, used, o)))
    width = f.mul(tiles, TILE)
    with f.loop(0, rows) as j:
        there = f.at(products, f.mul(f.mul(j, tiles), o))
        bias = field.pointer("bias")
        call_transform(f, result_transform, strip_out, there, tiles, width, o, capacity, bias)
        f.do(f"call void @y_strip(ptr %argument, ptr {strip_out}, i64 {f.add(row, j)}, i64 {width})")


def correlate_body(f, field, scratch, rows, row):
    c, o, tiles = field["x.padded"], field["y.padded"], field["tiles"]
    capacity = padded_rows(f, f.mul(field["block"], tiles))
    total = scratch
    strip_x = f.at(total, f.mul(f.mul(o, c), TAPS))
    strip_y = f.at(strip_x, f.mul(f.mul(f.add(f.mul(tiles, TILE), POINTS - TILE), POINTS), c))
    data = f.at(strip_y, f.mul(f.mul(f.mul(tiles, TILE), TILE), o))
    cotangents = f.at(data, f.mul(f.mul(capacity, TAPS), c))
    transformed(f, field, data_transform, "x", POINTS, strip_x, data, rows, row, capacity)
    transformed(f, field, cotangent_transform, "y", TILE, strip_y, cotangents, rows, row, capacity)
    depth = f.mul(rows, tiles)
    with f.loop(0, TAPS) as tap:
        left, right = f.at(cotangents, f.mul(tap, f.mul(capacity, o))), f.at(data, f.mul(tap, f.mul(capacity, c)))
        out = f.at(total, f.mul(tap, f.mul(o, c)))
        call(f, ADD_PRODUCT, *(("ptr", a) for a in (left, right, out)), *(("i64", n) for n in (1, o, c, depth, o, c)))


def compiled(name, body, y_rows, y_inward, transforms, product, lanes):
    names = fields_of("x", "y")
    functions = [
        copy_function("@copy", lanes),
        strip_function("@x_strip", POINTS, True, "x", names, lanes),
        strip_function("@y_strip", y_rows, y_inward, "y", names, lanes),
        task(f"@@{name}", names, lanes, body),
    ]
    others = {f"wengert_{t.__name__}": transform_address(t) for t in transforms}
    return native.compile_text(module(functions), [name], addresses(TRANSPOSE, product) | others)[name]


def lanes():
    return native.target().vector_bytes // 4


@cache
def convolve_address():
    transforms = data_transform, result_transform
    return compiled("winograd", convolve_body, TILE, False, transforms, MULTIPLY, lanes())


@cache
def correlate_address():
    transforms = data_transform, cotangent_transform
    return compiled("winograd_weight", correlate_body, TILE, True, transforms, ADD_PRODUCT, lanes())


def rounded(count, step):
    return -(-count // step) * step


def described(a, padding, step):
    """The fields of an image; `a` is contiguous, or channels-last in memory. Channels are padded to whole `step`s."""
    last = a.strides[1] == a.itemsize and a.shape[1] > 1
    strides = [s // a.itemsize for s in a.strides]
    return [a.ctypes.data, strides[0], strides[3] if last else strides[1], strides[2], a.shape[1], a.shape[2],
            a.shape[3], *padding, rounded(a.shape[1], step), int(last)]  # fmt: skip


class Task:
    """How the rows of tiles of a convolution are shared out, and the memory that each share works in."""

    def __init__(self, n, out_space, c, o, extra):
        self.tile_rows, self.tiles = (-(-size // TILE) for size in out_space)
        rows = n * self.tile_rows
        self.tasks = min(rows, threads.number())
        fitting = max(24, CACHE_BYTES // (4 * TAPS * (c + o)))
        self.block = max(1, min(fitting // self.tiles, -(-rows // self.tasks)))
        capacity = rounded(self.block * self.tiles, ROWS)
        strips = (self.tiles * TILE + POINTS - TILE) * POINTS * c + self.tiles * TILE * TILE * o
        self.cleared = extra + strips  # sums start at zero, and so does what no pixel is copied to
        self.step = rounded(self.cleared + capacity * TAPS * (c + o), 16)
        self.scratch = np.empty((self.tasks, self.step), np.float32)

    def run(self, address, n, x, y, matrix, bias):
        shared = [self.step, self.cleared, self.tile_rows, self.tiles, n, self.block, self.tasks]
        numbers = [self.scratch.ctypes.data, *shared, *x, *y, matrix, bias]
        argument = (ctypes.c_int64 * len(numbers))(*numbers)
        threads.share(address, argument, self.tasks)


@cache
def both_matrix():
    """G ⊗ G (36, 9), which evaluates a kernel in both dimensions."""
    g = weight_matrix()
    return np.kron(g, g).astype(np.float32)


def points_of_weight(w, c, o):
    """G w Gᵀ (36, c, o), in panels of columns, for `w` (O, C, 3, 3); zeros where `c` and `o` exceed C and O."""
    filters, channels = w.shape[:2]
    points = (both_matrix() @ w.transpose(2, 3, 1, 0).reshape(9, -1)).reshape(TAPS, channels, filters)
    if (channels, filters) != (c, o):
        points = np.pad(points, ((0, 0), (0, c - channels), (0, o - filters)))
    panels, start = [], 0
    for vectors in panel_widths(lanes()):
        width = vectors * lanes()
        count = (o - start) // width
        if count:
            part = points[:, :, start : start + count * width].reshape(TAPS, c, count, width)
            panels.append(part.transpose(0, 2, 1, 3).reshape(TAPS, -1))
            start += count * width
    return np.ascontiguousarray(panels[0] if len(panels) == 1 else np.concatenate(panels, 1))


def correlate(x, w, bias, padding, out):
    """Fill `out` (N, O, *out) with the convolution of `x` (N, C, *space) with `w` (O, C, 3, 3), stride 1.

    `x` and `out` are contiguous or channels-last, of float32.
    """
    step = lanes()
    described_x, described_y = described(x, padding, step), described(out, (0, 0), step)
    c, o = rounded(x.shape[1], step), rounded(out.shape[1], step)
    points = points_of_weight(w, c, o)
    shift = np.zeros(o, np.float32)
    if bias is not None:
        shift[: len(bias)] = bias
    task = Task(len(x), out.shape[2:], c, o, 0)
    task.run(convolve_address(), len(x), described_x, described_y, points.ctypes.data, shift.ctypes.data)
    return out


def correlate_weight(g, x, padding):
    """The cotangent of the weight, (O, C, 3, 3), from the result's, `g`, and the data."""
    step = lanes()
    described_x, described_g = described(x, padding, step), described(g, (0, 0), step)
    c, o = rounded(x.shape[1], step), rounded(g.shape[1], step)
    task = Task(len(x), g.shape[2:], c, o, TAPS * c * o)
    task.run(correlate_address(), len(x), described_x, described_g, 0, 0)
    total = task.scratch[:, : TAPS * c * o].sum(0).reshape(TAPS, o, c)[:, : g.shape[1], : x.shape[1]]
    flat = np.ascontiguousarray(total).reshape(TAPS, -1)
    return (both_matrix().T @ flat).reshape(3, 3, g.shape[1], x.shape[1]).transpose(2, 3, 0, 1)
