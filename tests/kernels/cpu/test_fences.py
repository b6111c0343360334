"""No kernel reads or writes beyond its arrays, whatever their extents: all lie between forbidden pages."""

import numpy as np
import pytest

from tests.kernels.cpu.fences import Fenced, fence_results, protecting
from wengert.kernels import cpu
from wengert.kernels.cpu import (
    direct,
    gemm,
    indexing,
    normalization,
    pooling,
    recurrence,
    reductions,
    resampling,
    sorting,
    winograd,
)
from wengert.kernels.recurrence import CELLS, Walk
from wengert.kernels.resampling import resize_taps

cpu.begin()
pytestmark = protecting
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def matrices(rows, depth, columns, swapped):
    a = normal(1, 1, depth, rows).swapaxes(2, 3) if swapped else normal(1, 1, rows, depth)
    return lambda a, b: gemm.product(a, b), (a, normal(1, 1, depth, columns))


def recurrent(name, sizes, units):
    """Forward and backward of a cell: (gates, w_hh, b_hh, h0, c0, gradient of the outputs)."""
    cell, walk = CELLS[name], Walk(sizes)
    wide = len(cell.bends) * units

    def run(gates, w_hh, b_hh, h0, c0, g):
        ahead = recurrence.forward(cell, walk, gates, w_hh, b_hh, h0, c0)
        back = recurrence.backward(cell, walk, (g, None, None), w_hh, h0, c0, *ahead)
        return *ahead, *back[:3]

    arrays = (walk.rows, wide), (wide, units), (wide,), (walk.batch, units), (walk.batch, units), (walk.rows, units)
    return run, tuple(normal(*shape) for shape in arrays)


def convolution(n, c, o, size):
    x, w = normal(n, c, size, size), normal(o, c, 3, 3)
    return lambda x, w: winograd.correlate(x, w, None, (1, 1), np.empty((n, o, size, size), np.float32)), (x, w)


def few_channels(n, c, o, size, kernel):
    x, w = normal(n, c, size, size), normal(o, c, kernel, kernel)
    g = normal(n, o, size - kernel + 1, size - kernel + 1)
    steps = ((1, 1), (0, 0), (1, 1))

    def run(x, w, g):
        out = direct.correlate(x, w, None, *steps, np.empty(g.shape, np.float32))
        return out, direct.correlate_weight(g, x, (kernel, kernel), *steps)

    return run, (x, w, g)


def windows(size, kernel, stride):
    out = (size - kernel) // stride + 1
    options = ((kernel, kernel), (stride, stride), (0, 0), (1, 1), (out, out))
    return lambda x: pooling.max_pool_with_indices(x, *options), (normal(2, 3, size, size),)


def layer_norm_back(rows, columns):
    axes = {"shape": (rows, columns), "axes": (1,), "affine": (1, columns), "fixed": False, "eps": 1e-5}
    run = lambda *given: normalization.gradients(*given, **axes, needs=(True, True, True))
    return run, (normal(rows, columns), normal(rows, columns), normal(columns), normal(rows, 1), normal(rows, 1))


def layer_norm(rows, columns):
    run = lambda *given: normalization.standardize(*given, (rows, columns), (1,), (columns,), 1e-5)
    return run, (normal(rows, columns), normal(columns), normal(columns))


def resizing(space, size, back=False):
    """From planes of extents `space` to `size`, or the transpose of the way back."""
    given, made = (size, space) if back else (space, size)
    taps = [resize_taps("linear", old, new, False, None, False, np.float32)
            for old, new in zip(given, made, strict=True)]  # fmt: skip
    run = (lambda x: resampling.resample_transpose(x, taps, size)) if back else lambda x: resampling.resample(x, taps)
    return run, (normal(2, 3, *space),)


def along(dim, shape):
    index = RNG.integers(0, shape[dim], shape)

    def run(x, i, src):
        out = x.copy()
        indexing.scatter(out, dim, i, src, True)
        return indexing.gather(x, dim, i), out

    return run, (normal(*shape), index, normal(*shape))


def table(rows, columns):
    index = np.array([rows - 1, 0, rows - 1], np.int64)
    return lambda t, i: indexing.take_rows(t, i), (normal(rows, columns), index)


CASES = {
    **{f"product {case}": matrices(*case) for case in [
        (1, 1, 1, False), (5, 17, 65, False), (17, 33, 15, True), (64, 513, 64, False), (21, 600, 129, True),
    ]},
    **{f"softmax {n}": (lambda x: reductions.softmax(x, -1), (normal(3, n),)) for n in (1, 15, 17, 257, 1000)},
    **{f"softmax side by side {case}": (lambda x: reductions.softmax(x, 1), (normal(*case),))
       for case in [(2, 3, 9), (1, 5, 64), (2, 300, 67)]},
    **{f"logsumexp side by side {n}": (lambda x: reductions.logsumexp(x, 0), (normal(5, n),)) for n in (8, 131)},
    **{f"logsumexp {n}": (lambda x: reductions.logsumexp(x, -1), (normal(3, n),)) for n in (1, 17, 257)},
    **{f"sum of columns {n}": (lambda x: reductions.sum(x, 0), (normal(70, n),)) for n in (2, 15, 17, 2049)},
    **{f"layer norm {case}": layer_norm(*case) for case in [(3, 17), (70, 257)]},
    **{f"layer norm's gradient {case}": layer_norm_back(*case) for case in [(3, 17), (70, 257)]},
    **{f"convolution {case}": convolution(*case) for case in [(1, 1, 1, 4), (2, 3, 17, 7), (1, 16, 5, 9)]},
    **{f"few channels {case}": few_channels(*case) for case in [(1, 1, 1, 4, 3), (2, 3, 9, 20, 5), (17, 1, 3, 33, 2)]},
    **{f"windows {case}": windows(*case) for case in [(5, 2, 1), (7, 2, 2), (16, 3, 3), (33, 2, 2)]},
    **{f"{name} {case}": recurrent(name, *case) for name in CELLS for case in [([2, 2, 2], 5), ([5, 3, 1], 17)]},
    **{f"resizing {case}": resizing(*case) for case in [
        ((5, 7), (10, 14)), ((16, 33), (9, 17)), ((10, 14), (5, 7), True), ((9, 17), (16, 33), True),
    ]},
    **{f"elements along {case}": along(*case) for case in [(0, (5, 17)), (1, (5, 17)), (0, (33,)), (1, (2, 3, 7))]},
    **{f"best of {n}": (lambda x: sorting.topk(x, 3, 1, True), (normal(3, n),)) for n in (12, 33, 64)},
    **{f"rows of a table {case}": table(*case) for case in [(4, 1), (5, 17)]},
}  # fmt: skip


def flat(result):
    return [r for r in (result if isinstance(result, tuple) else (result,)) if r is not None]


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_nothing_beyond_the_ends_is_touched(name, at_end, monkeypatch):
    run, arrays = CASES[name]
    wanted = [r.copy() for r in flat(run(*arrays))]
    fenced = [Fenced(a.swapaxes(-1, -2) if not a.flags.c_contiguous else a, at_end) for a in arrays]
    given = [f.array if a.flags.c_contiguous else f.array.swapaxes(-1, -2) for f, a in zip(fenced, arrays, strict=True)]
    open_all = fence_results(monkeypatch, at_end)
    found = flat(run(*given))
    open_all()
    for f in fenced:
        f.open()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
