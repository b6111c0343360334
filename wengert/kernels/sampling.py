"""Images read at given places, and what carries gradients back to images and places.

Along each axis a place lies between a few elements, its *taps*, whose weights are polynomials in the fraction by which
it lies beyond the first. A reading is the sum over all combinations of taps of the product of their weights and the
element there; `spread` is its transpose. The derivative by a coordinate is a reading again, with the weights along that
axis derived: `order` says how often, for each axis of space, and so derivatives of any order come from three functions.

A rule of reading, `how`, is (mode, padding_mode, align_corners), as `grid_sample` takes them.
"""

from functools import lru_cache
from math import prod

import numpy as np

from wengert.kernels.choices import offered
from wengert.kernels.ranges import spaced

A = -0.75  # the parameter of the cubic convolution kernel (Keys, 1981)
# For each mode the weight of each tap, as the coefficients of 1, t, t², … where t is the fraction.
WEIGHTS = {
    "nearest": ((1.0,),),
    "bilinear": ((1.0, -1.0), (0.0, 1.0)),
    "bicubic": (
        (0.0, A, -2 * A, A), (1.0, 0.0, -A - 3, A + 2), (0.0, -A, 2 * A + 3, -A - 2), (0.0, 0.0, A, -A),
    ),
}  # fmt: skip
FIRST = {"nearest": 0, "bilinear": 0, "bicubic": -1}  # where the first tap lies, from the element before the place


def derived(weights, order):
    """The polynomials derived `order` times, with as many coefficients as they had."""
    for _ in range(order):
        weights = tuple((*(k * c for k, c in enumerate(row) if k), 0.0) for row in weights)
    return weights


@lru_cache(maxsize=64)
def coefficients(mode, order, dtype):
    """Of derived weights: an array (taps, 1, 1, axes) for each power."""
    table = np.array([derived(WEIGHTS[mode], k) for k in order], dtype)  # (axes, taps, powers)
    return tuple(table[:, :, power].T[:, None, None] for power in range(table.shape[2]))


def located(coordinate, extent, how):
    """(place along an axis of `extent` elements, how far it moves with the coordinate), for arrays and for symbols."""
    mode, padding_mode, align_corners = how
    rate = (extent - 1) * 0.5 if align_corners else extent * 0.5
    place = (coordinate + 1) * rate
    place = place if align_corners else place - 0.5
    if mode == "bicubic":  # whose taps are brought inside one by one
        return place, rate
    return bounded(place, rate, extent, padding_mode, align_corners)


def bounded(place, rate, extent, padding_mode, align_corners):
    """Places outside of an axis brought back to its border, where they have no influence, or reflected into it."""
    if padding_mode == "zeros":
        return place, rate
    last = extent - 1
    if padding_mode == "reflection":
        low, span = (0.0, np.maximum(last, 1)) if align_corners else (-0.5, extent)
        away = abs(place - low)
        turns = np.floor(away / span)
        odd = turns - np.floor(turns * 0.5) * 2  # an odd number of whole spans away, the axis runs the other way
        rest = away - turns * span
        rate = np.where(place < low, -rate, rate) * (1 - 2 * odd)
        place = rest + odd * (span - 2 * rest) + low
    rate = np.where((place > 0) & (place < last), rate, 0.0)
    return np.minimum(np.maximum(place, 0), last), rate


class Places:
    """The places of a grid (N, *out, axes) in images of extents `space`.

    `position` (N, combinations of taps, points) is that of an element in its image, or the one behind the last where
    there is none: `outside` says whether there are such.
    """

    def __init__(self, grid, space, how):
        mode, padding_mode, align_corners = how
        n = len(space)
        extent = np.array(space, grid.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            place, self.rate = located(grid.reshape(len(grid), -1, n)[..., ::-1], extent, how)
            first = (np.rint if mode == "nearest" else np.floor)(place)
            self.mode, self.fraction = mode, place - first
            taps = len(WEIGHTS[mode])
            index = first + np.arange(FIRST[mode], FIRST[mode] + taps, dtype=grid.dtype).reshape(-1, 1, 1, 1)
            if mode == "bicubic":
                index, _ = bounded(index, 0.0, extent, padding_mode, align_corners)
            valid = (index >= 0) & (index < extent)
            index = np.where(valid, index, 0).astype(np.int64)
        strides = [prod(space[k + 1 :]) for k in range(n)]
        position, inside = index[..., 0] * strides[0], valid[..., 0]
        for k in range(1, n):
            position = combined(np.add, position, index[..., k] * strides[k])
            inside = combined(np.logical_and, inside, valid[..., k])
        self.outside = not inside.all()
        if self.outside:
            position = np.where(inside, position, prod(space))
        self.position = position.swapaxes(0, 1)

    def weights(self, order):
        """(N, combinations of taps, points), derived so often by the coordinate along each axis."""
        *lower, factor = coefficients(self.mode, order, self.fraction.dtype)
        for term in reversed(lower):
            factor = factor * self.fraction + term
        if not lower:
            factor = np.broadcast_to(factor, (1, *self.fraction.shape)) * (not any(order))
        for axis, times in enumerate(order):
            for _ in range(times):
                factor[..., axis] *= self.rate[..., axis]
        weight = factor[..., 0]
        for k in range(1, factor.shape[-1]):
            weight = combined(np.multiply, weight, factor[..., k])
        return weight.swapaxes(0, 1)

    def seen(self, input):
        """The elements there, (N, combinations, points, C), and zeros outside."""
        flat = self.flat(input)
        if self.outside:
            flat = np.concatenate([flat, np.zeros((*flat.shape[:2], 1), flat.dtype)], 2)
        return flat[np.arange(len(flat))[:, None, None], :, self.position]

    @staticmethod
    def flat(x):
        return x.reshape(*x.shape[:2], prod(x.shape[2:]))


def combined(ufunc, a, b):
    """(taps, …) of some axes and of one more: of all combinations."""
    return ufunc(a[:, None], b).reshape(-1, *a.shape[1:])


def read(input, grid, how, order):
    """(N, C, *space) at the places of a grid (N, *out, axes): (N, C, *out)."""
    shape = (*input.shape[:2], *grid.shape[1:-1])
    fast = offered("sampling.read", prod(shape), input, grid, how, order)
    if fast is not None:
        return fast
    places = Places(grid, input.shape[2:], how)
    seen = places.seen(input)
    if how[0] != "nearest" or any(order):
        seen = seen * places.weights(order)[..., None]
    return np.ascontiguousarray(seen.sum(1).swapaxes(1, 2)).reshape(shape)


def spread(c, grid, space, how, order):
    """The transpose of `read`: (N, C, *out) → (N, C, *space)."""
    fast = offered("sampling.spread", c.size, c, grid, space, how, order)
    if fast is not None:
        return fast
    places = Places(grid, space, how)
    planes, size = prod(c.shape[:2]), prod(space) + 1
    values = places.flat(c)[:, :, None] * places.weights(order)[:, None]
    first = np.arange(0, planes * size, size).reshape(*c.shape[:2], 1, 1)
    total = np.bincount((first + places.position[:, None]).reshape(-1), values.reshape(-1), planes * size)
    return total.reshape(planes, size)[:, :-1].astype(c.dtype).reshape(*c.shape[:2], *space)


def slope(c, input, grid, how, order):
    """How far the sum of c times `read` moves with each coordinate of the grid: (N, *out, axes)."""
    if how[0] == "nearest":
        return np.zeros(grid.shape, grid.dtype)
    fast = offered("sampling.slope", c.size, c, input, grid, how, order)
    if fast is not None:
        return fast
    places = Places(grid, input.shape[2:], how)
    along = (places.seen(input) * places.flat(c)[:, None].swapaxes(2, 3)).sum(3)
    axes = range(len(order))
    slopes = [(along * places.weights(raised(order, axis))).sum(1) for axis in reversed(axes)]
    return np.stack(slopes, -1).reshape(grid.shape)


def raised(order, axis):
    """Derived once more along an axis."""
    return (*order[:axis], order[axis] + 1, *order[axis + 1 :])


@lru_cache(maxsize=8)
def base_grid(space, align_corners, dtype):
    """Homogeneous coordinates from -1 to 1 of the points of a grid: (*space, axes + 1), the last axis of space first.
    """
    n = len(space)
    out = np.ones((*space, n + 1), dtype)
    for axis, size in enumerate(space):
        line = spaced(-1, 1, size, dtype) if size > 1 else np.zeros(1, dtype)
        if not align_corners:
            line = line * dtype.type(size - 1) / dtype.type(size)
        out[..., n - 1 - axis] = line.reshape([-1 if a == axis else 1 for a in range(n)])
    out.flags.writeable = False
    return out
