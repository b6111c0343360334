"""Images read at given places, in the place of `wengert.kernels.sampling`.

The taps of a vector of places are worked out once and serve all channels. `read` and `slope` share out the places,
`spread` the channels: so no two threads add to one element, and what meets on an element is added in the order of the
places.
"""

from functools import cache
from itertools import product
from math import prod

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.expressions import F32, constant
from wengert.kernels.cpu.function import kernel, plan, task
from wengert.kernels.cpu.pointwise import TASK
from wengert.kernels.sampling import FIRST, WEIGHTS, bounded, derived, located, raised

FIELDS = ("channels", "points", "size", "each", "parts", "unused", "tasks", "extent0", "extent1", "extent2")


def polynomial(row, t):
    """A weight, with no more steps than its coefficients ask for."""
    *lower, value = np.trim_zeros(row, "b") or (0.0,)
    for c in reversed(lower):
        value = value * t + c if c else value * t
    return value


def taps(how, orders, coordinates, extents):
    """Of each combination of taps: its position in the image, -1 outside, and a weight for each of `orders`."""
    mode, padding_mode, align_corners = how
    axes = []
    for axis, (coordinate, extent) in enumerate(zip(coordinates, extents, strict=True)):
        place, rate = located(coordinate, extent, how)
        first = np.rint(place) if mode == "nearest" else np.floor(place)
        fraction, found = place - first, []
        for k in range(len(WEIGHTS[mode])):
            index = first + float(FIRST[mode] + k)
            if mode == "bicubic":
                index, _ = bounded(index, rate, extent, padding_mode, align_corners)
            valid = (index >= 0) & (index < extent)
            weight = {0: polynomial(WEIGHTS[mode][k], fraction)}
            if any(order[axis] for order in orders):
                weight[1] = polynomial(derived(WEIGHTS[mode], 1)[k], fraction) * rate
            found.append((np.where(valid, index, 0.0).astype(np.int32), valid, weight))
        axes.append(found)
    for combination in product(*axes):
        position, inside, _ = combination[0]
        for (index, valid, _), extent in zip(combination[1:], extents[1:], strict=True):
            position, inside = position * extent.astype(np.int32) + index, inside & valid
        yield np.where(inside, position, -1)
        for order in orders:
            weight, *others = (w[k] for (_, _, w), k in zip(combination, order, strict=True))
            for other in others:
                weight = weight * other
            yield constant(weight, F32) if isinstance(weight, float) else weight


class Sampler:
    """What the three functions have in common, as they are written.

    The taps of a vector of places lie in the cache: `positions` (combinations, lanes) and `weights` (combinations,
    orders, lanes). Elements are taken one by one, which is quicker than the processor's own gathers.
    """

    def __init__(self, arrays, how, orders):
        self.lanes = native.target().vector_bytes // 4
        self.f, self.field, self.arrays = task(FIELDS, arrays, self.lanes)
        self.how, self.orders, self.axes = how, orders, len(orders[0])
        f, self.combinations = self.f, len(WEIGHTS[how[0]]) ** self.axes
        self.whole = f"<{self.lanes} x i32>"
        self.positions = f.variable(f"[{self.combinations} x {self.whole}]")
        self.weights = f.variable(f"[{self.combinations * len(orders)} x {f.vector}]")
        self.image, self.part = f.div("%task", self.field["parts"]), f.rem("%task", self.field["parts"])
        self.extents = [f.broadcast(f.op(f"sitofp i64 {self.field[f'extent{k}']} to float")) for k in range(self.axes)]

    def coordinates(self, grid, point):
        """Where the coordinates of a place lie."""
        return self.f.at(grid, self.f.mul(self.f.add(self.f.mul(self.image, self.field["points"]), point), self.axes))

    def find(self, grid, point, left):
        """Work out the taps of a vector of places."""
        f, n, wide = self.f, self.axes, self.lanes * self.axes
        numbers, floats = f"<{wide} x i32>", f"<{wide} x float>"
        count = f.op(f"insertelement {numbers} poison, i32 {f.op(f'trunc i64 {f.mul(left, n)} to i32')}, i64 0")
        count = f.op(f"shufflevector {numbers} {count}, {numbers} poison, {numbers} zeroinitializer")
        listed = lambda steps: ", ".join(f"i32 {k}" for k in steps)
        mask = f.op(f"icmp slt {numbers} <{listed(range(wide))}>, {count}")
        given = f.intrinsic(f"masked.load.v{wide}f32.p0", floats, ("ptr", self.coordinates(grid, point)), ("i32", 4),
                            (f"<{wide} x i1>", mask), (floats, "zeroinitializer"))  # fmt: skip
        coordinates = [
            f.op(f"shufflevector {floats} {given}, {floats} poison, {self.whole} <{listed(range(k, wide, n))}>")
            for k in reversed(range(n))
        ]
        found = f.apply_all(lambda *given: list(taps(self.how, self.orders, given[:n], given[n:])),
                            *coordinates, *self.extents)  # fmt: skip
        step = 1 + len(self.orders)
        for k in range(self.combinations):
            position, *weights = found[k * step : (k + 1) * step]
            f.store(position, f.at(self.positions, k * self.lanes), self.whole)
            for j, weight in enumerate(weights):
                f.store(weight, self.weight(k, j))

    def weight(self, k, j=0):
        return self.f.at(self.weights, self.f.mul(self.f.add(self.f.mul(k, len(self.orders)), j), self.lanes))

    def place(self, k, lane):
        """The position of one lane in the combination k, -1 outside."""
        f = self.f
        position = f.load(f.at(self.positions, f.add(f.mul(k, self.lanes), lane)), "i32")
        return f.op(f"sext i32 {position} to i64")

    def seen(self, plane, k):
        """The elements of a plane in the combination k, zeros outside."""
        f, value = self.f, "poison"
        for lane in range(self.lanes):
            position = f.op(f"call i64 @llvm.smax.i64(i64 {self.place(k, lane)}, i64 0)")
            element = f.load(f.at(plane, position), "float")
            value = f.op(f"insertelement {f.vector} {value}, float {element}, i64 {lane}")
        positions = f.load(f.at(self.positions, f.mul(k, self.lanes)), self.whole)
        inside = f.op(f"icmp sge {self.whole} {positions}, zeroinitializer")
        return f.op(f"select {f.mask} {inside}, {f.vector} {value}, {f.vector} zeroinitializer")

    def row(self, array, channel, size):
        """A channel of this task's image."""
        f = self.f
        return f.at(array, f.mul(f.add(f.mul(self.image, self.field["channels"]), channel), size))

    def vectors(self):
        """The loop over the places of a task, a vector at a time."""
        f, field = self.f, self.field
        first = f.mul(self.part, field["each"])
        return f.loop(first, f.minimum(f.add(first, field["each"]), field["points"]), self.lanes)


def read_function(how, order):
    s = Sampler(3, how, (order,))
    f, field, (input, grid, out) = s.f, s.field, s.arrays
    total = f.variable()
    with s.vectors() as point:
        left = f.sub(field["points"], point)
        here = f.first(left)
        s.find(grid, point, left)
        with f.loop(0, field["channels"]) as channel:
            plane = s.row(input, channel, field["size"])
            f.store("zeroinitializer", total)
            with f.loop(0, s.combinations) as k:
                f.store(f.fused(s.seen(plane, k), f.load(s.weight(k)), f.load(total)), total)
            f.store_some(f.load(total), f.at(s.row(out, channel, field["points"]), point), here)
    return f


def slope_function(how, order):
    axes = range(len(order))
    s = Sampler(4, how, tuple(raised(order, axis) for axis in axes))
    f, field, (c, input, grid, out) = s.f, s.field, s.arrays
    slopes = [f.variable() for _ in axes]
    with s.vectors() as point:
        left = f.sub(field["points"], point)
        here = f.first(left)
        s.find(grid, point, left)
        for slope in slopes:
            f.store("zeroinitializer", slope)
        with f.loop(0, field["channels"]) as channel:
            plane = s.row(input, channel, field["size"])
            factor = f.load_some(f.at(s.row(c, channel, field["points"]), point), here)
            with f.loop(0, s.combinations) as k:
                value = f.product(s.seen(plane, k), factor)
                for axis, slope in enumerate(slopes):
                    f.store(f.fused(value, f.load(s.weight(k, axis)), f.load(slope)), slope)
        with f.loop(0, f.minimum(left, s.lanes)) as lane:
            to = s.coordinates(out, f.add(point, lane))
            for k, slope in enumerate(reversed(slopes)):
                f.store(f.load(f.at(slope, lane), "float"), f.at(to, k), "float")
    return f


def spread_function(how, order):
    s = Sampler(3, how, (order,))
    f, field, (c, grid, out) = s.f, s.field, s.arrays
    values, nowhere = f.variable(f"[{s.combinations} x {f.vector}]"), f.variable()
    f.store("zeroinitializer", nowhere)
    first = f.mul(s.part, field["each"])
    last = f.minimum(f.add(first, field["each"]), field["channels"])
    with f.loop(0, field["points"], s.lanes) as point:
        left = f.sub(field["points"], point)
        here = f.first(left)
        s.find(grid, point, left)
        with f.loop(first, last) as channel:
            plane = s.row(out, channel, field["size"])
            factor = f.load_some(f.at(s.row(c, channel, field["points"]), point), here)
            for k in range(s.combinations):
                f.store(f.product(factor, f.load(s.weight(k))), f.at(values, k * s.lanes))
            with f.loop(0, f.minimum(left, s.lanes)) as lane:
                for k in range(s.combinations):
                    position = s.place(k, lane)
                    inside = f.op(f"icmp sge i64 {position}, 0")
                    place = f.op(f"select i1 {inside}, ptr {f.at(plane, position)}, ptr {nowhere}")
                    value = f.load(f.at(values, f.add(lane, k * s.lanes)), "float")
                    f.store(f.op(f"fadd float {f.load(place, 'float')}, {value}"), place, "float")
    return f


@cache
def compiled(function, arrays, how, order):
    return kernel([function(how, order)], arrays)


def walked(function, planes, space, grid, how, order, arrays, by_channels=False):
    """Run a function; False for arrays that it isn't made for."""
    if any(a.dtype != F32 or not a.size for a in arrays) or any(order) or prod(space) >= 1 << 31:
        return False
    images, channels = planes
    points = prod(grid.shape[1:-1])
    if by_channels:
        each = max(1, min(channels, images * channels // 8))
        parts = -(-channels // each)
    else:
        lanes = native.target().vector_bytes // 4
        each = max(1, TASK // (channels * lanes * 2)) * lanes
        parts = -(-points // each)
    numbers = plan(channels, points, prod(space), each, parts, 0, images * parts, *space, *(0,) * (3 - len(space)))
    compiled(function, len(arrays), how, order)(numbers, *map(id, arrays))
    return True


def read(input, grid, how, order):
    """As the reference; None unless all is of single precision, and for derived weights."""
    out = np.empty((*input.shape[:2], *grid.shape[1:-1]), np.float32)
    arrays = np.ascontiguousarray(input), np.ascontiguousarray(grid), out
    return out if walked(read_function, input.shape[:2], input.shape[2:], grid, how, order, arrays) else None


def spread(c, grid, space, how, order):
    """As the reference; None as `read`."""
    out = np.zeros((*c.shape[:2], *space), np.float32)
    arrays = np.ascontiguousarray(c), np.ascontiguousarray(grid), out
    return out if walked(spread_function, c.shape[:2], space, grid, how, order, arrays, True) else None


def slope(c, input, grid, how, order):
    """As the reference; None as `read`."""
    out = np.empty(grid.shape, np.float32)
    arrays = np.ascontiguousarray(c), np.ascontiguousarray(input), np.ascontiguousarray(grid), out
    return out if walked(slope_function, input.shape[:2], input.shape[2:], grid, how, order, arrays) else None
