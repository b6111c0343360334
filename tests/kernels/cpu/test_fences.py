"""No kernel reads or writes beyond its arrays, whatever their extents: all lie between forbidden pages."""

import numpy as np
import pytest

from tests.kernels.cpu.fences import Fenced, fence_results, protecting
from wengert.dtypes import bfloat16, float16, float32
from wengert.kernels import choices, cpu
from wengert.kernels import losses as reference_losses
from wengert.kernels.cpu import (
    activation,
    conversions,
    copying,
    direct,
    distances,
    gamma,
    gemm,
    indexing,
    lapack,
    losses,
    mersenne,
    normalization,
    normals,
    pooling,
    recurrence,
    reductions,
    resampling,
    sampling,
    scans,
    sorting,
    squares,
    sums,
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


def sampled(space, out, mode, padding_mode):
    """An image read at given places, and the gradients of that."""
    how, order = (mode, padding_mode, False), (0,) * len(space)

    def run(input, grid, c):
        back = sampling.spread(c, grid, space, how, order), sampling.slope(c, input, grid, how, order)
        return sampling.read(input, grid, how, order), *back

    grid = RNG.uniform(-1.3, 1.3, (2, *out, len(space))).astype(np.float32)
    return run, (normal(2, 3, *space), grid, normal(2, 3, *out))


def factored(name, *rest, rows=7, columns=7):
    """A routine of LAPACK, on a matrix of full rank."""
    A = normal(rows, columns)
    A = A @ A.T + np.eye(rows, dtype=np.float32) if name == "cholesky" else A
    arrays, given = [[r for r in rest if isinstance(r, np.ndarray) == of] for of in (True, False)]
    run = getattr(lapack, name)
    run = (lambda *all_given: lapack.least_squares(*all_given)[0]) if name == "least_squares" else run
    return lambda A, *B: run(A, *B, *given), (A, *arrays)


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
    **{f"places {case}": sampled(*case) for case in [
        ((3, 5), (1, 17), "bilinear", "zeros"), ((1, 1), (3, 11), "nearest", "border"),
        ((4, 9), (8, 8), "bicubic", "reflection"), ((2, 3, 4), (1, 5, 7), "bilinear", "reflection"),
    ]},
    **{f"elements along {case}": along(*case) for case in [(0, (5, 17)), (1, (5, 17)), (0, (33,)), (1, (2, 3, 7))]},
    **{f"best of {n}": (lambda x: sorting.topk(x, 3, 1, True), (normal(3, n),)) for n in (12, 33, 64)},
    **{f"rows of a table {case}": table(*case) for case in [(4, 1), (5, 17)]},
}  # fmt: skip


# --- every kernel of the table ----------------------------------------------------------------------------------------

LENGTHS = (1, 17, 257)


def over(name, *axes, **options):
    """A reduction over each of some axes, of rows of several lengths."""
    run = getattr(reductions, name)
    return [(lambda x, axis=axis: run(x, axis, **options), (normal(20, n),)) for axis in axes for n in LENGTHS]


def extremes(n):
    x = normal(20, n)
    return lambda g, x, out: reductions.equal_shares(g, x, out, 1, False), (normal(20), x, x.max(1))


def whole_extremes(n):
    x = normal(20, n)
    return reductions.whole_extreme_gradient, (normal(1).reshape(()), x, x.max())


def shifted(name, *rest):
    """The derivative of a reduction over rows: (g, input, out, ...)."""
    run = getattr(reductions, name)
    return [(lambda g, x, out: run(g, x, out, *rest), (normal(20), normal(20, n), np.abs(normal(20)))) for n in LENGTHS]


def norm_gradient(n):
    run = reductions.norm_gradient.beside(None)
    return lambda g, x, out: run(g, x, out, 2, 1, False), (normal(20), normal(20, n), np.abs(normal(20)) + 1)


def batch(shape):
    axes, channels = tuple(a for a in range(len(shape)) if a != 1), shape[1]
    affine = [1, channels, *[1] * (len(shape) - 2)]

    def run(g, x, weight, bias):
        mean, variance = normalization.statistics(x, shape, axes)
        rstd = 1 / np.sqrt(variance + np.float32(1e-5))
        out = normalization.normalize(x, weight, bias, mean, rstd, shape, axes, affine)
        needs = (True, True, True)
        return out, *normalization.gradients(g, x, weight, mean, rstd, shape, axes, affine, False, 1e-5, needs)

    return run, (normal(*shape), normal(*shape), normal(channels), normal(channels))


def scores(rows, classes):
    target = RNG.integers(0, classes, rows)

    def run(x, target):
        loss, kept = losses.cross_entropy(x, target)
        return loss, losses.cross_entropy_gradient(np.float32(1), x, target, -100, "mean", kept)

    return run, (normal(rows, classes), target)


def slopes(n):
    run = losses.slopes.beside(reference_losses.mse_gradient)
    return lambda x, y: run(np.float32(1), x, y, "mean"), (normal(n), normal(n))


def scanned(name, shape, axis):
    run = scans.cumsum_gradient.beside(None) if name == "cumsum_gradient" else getattr(scans, name)
    return lambda x: run(x, axis), (normal(*shape),)


def added(rows, width):
    index = np.array([rows - 1, 0, rows - 1], np.int64)

    def run(table, index, values):
        out = table.copy()
        indexing.accumulate_rows(out, index, values)
        return out

    return run, (normal(rows, width), index, normal(3, width))


def pooled_back(size):
    x = normal(2, 3, size, size)
    options = ((2, 2), (2, 2), (0, 0), (1, 1), (size // 2, size // 2))
    values, positions = pooling.max_pool_with_indices(x, *options)
    return lambda g, i: pooling.max_pool_backward(g, i, (size, size)), (values, positions)


def weights_of_convolution(n, c, o, size):
    x, g = normal(n, c, size, size), normal(n, o, size, size)
    return lambda g, x: winograd.correlate_weight(g, x, (1, 1)), (g, x)


def bits(count):
    return RNG.integers(0, 1 << 32, count, dtype=np.uint32)


def drawn(blocks):
    def run(out):
        engine = np.random.MT19937()
        engine._legacy_seeding(3)
        return mersenne.words(engine, out)

    return run, (np.zeros(blocks * 624, np.uint32),)


def normals_of(groups):
    return lambda units: normals.box_muller_in_groups(units.copy()), (RNG.random(16 * groups, np.float32),)


UNIFORM = [(lambda w: mersenne.bernoulli(w, 0.3), (bits(2 * n),)) for n in (1, 17, 200)]
SCANS = [((5, 17), 0), ((5, 17), 1), ((2, 3, 520), 1), ((33,), 0)]
TABLE = {
    **{f"reductions:{name}": over(name, 0, 1, (0, 1))
       for name in ("sum", "nansum", "mean", "amax", "amin", "var", "std", "logsumexp")},
    **{f"reductions:{name}": over(name, 0, 1) for name in ("softmax", "log_softmax")},
    "reductions:multiplied": over("multiplied", 0, 1, None),
    "reductions:max_all": [(reductions.max_all, (normal(20, n),)) for n in LENGTHS],
    "reductions:min_all": [(reductions.min_all, (normal(20, n),)) for n in LENGTHS],
    "reductions:vector_norm": [(lambda x, p=p: reductions.vector_norm(x, p, 1), (normal(20, n),))
                               for p in (1, 2, np.inf) for n in LENGTHS],
    "reductions:equal_shares": [*map(extremes, LENGTHS)],
    "reductions:whole_extreme_gradient": [*map(whole_extremes, LENGTHS)],
    "reductions:both_extremes_gradient": [
        (lambda x: reductions.both_extremes_gradient(np.float32(1), np.float32(2), x, x.min(), x.max(), None, False),
         (normal(20, n),)) for n in LENGTHS
    ],
    "reductions:var_gradient": [(lambda g, x: reductions.var_gradient(g, x, 1, 0, False), (normal(20), normal(20, n)))
                                for n in LENGTHS],
    "reductions:std_gradient": shifted("std_gradient", 1, 0, False),
    "reductions:norm_gradient": [*map(norm_gradient, LENGTHS)],
    "reductions:logsumexp_gradient": shifted("logsumexp_gradient", 1, False),
    **{f"reductions:{name}": [(lambda g, out, name=name: getattr(reductions, name)(g, out, 1), (normal(3, n),) * 2)
                              for n in LENGTHS] for name in ("softmax_gradient", "log_softmax_gradient")},
    "activation:glu": [(activation.glu.beside(None), (normal(5, 2 * n),)) for n in LENGTHS],
    "activation:glu_gradient": [(lambda g, x: activation.glu_gradient(g, x, 1), (normal(5, n), normal(5, 2 * n)))
                                for n in LENGTHS],
    "distances:distances": [
        (lambda a, b, p=p: distances.distances(a[:, None], b[None], p), (normal(5, n), normal(3, n)))
        for n in LENGTHS for p in (1, 2, np.inf)
    ],
    "gamma:of_array": [(gamma.of_array.beside(None), (normal(n),)) for n in LENGTHS],
    "sums:add_rows": [(sums.add_rows, (normal(rows, n),)) for n in (*LENGTHS, 100) for rows in (20, 131)],
    **{f"scans:{name}": [scanned(name, *case) for case in SCANS] for name in ("cumsum", "cumprod", "cumsum_gradient")},
    **{f"normalization:{name}": [batch((4, 3, 17)), batch((5, 17)), batch((2, 5, 3, 7))]
       for name in ("statistics", "normalize", "gradients")},
    "losses:cross_entropy": [scores(5, n) for n in (2, 17, 257)],
    "losses:cross_entropy_gradient": [scores(17, n) for n in (3, 33)],
    "losses:slopes": [*map(slopes, (1, 17, 257))],
    "losses:combined": [(lambda x, y: losses.combined(reference_losses.squared_difference, x, y, "mean"),
                         (normal(n), normal(n))) for n in (1, 17, 257)],
    "indexing:accumulate_rows": [added(4, 8), added(5, 17), added(3, 33)],
    "indexing:masked_fill": [(lambda x, m: indexing.masked_fill(x, m, np.float32(3)), (normal(n), normal(n) > 0))
                             for n in LENGTHS],
    "indexing:triangle": [(lambda x, lower=lower: indexing.triangle(x, 1, lower), (normal(3, m, n).astype(to),))
                          for m, n in ((5, 17), (17, 33)) for lower in (True, False) for to in (np.float32, np.int8)],
    "copying:fill": [(lambda x: copying.fill(np.empty(x.shape, x.dtype), x), (normal(5, n).astype(to),))
                     for n in LENGTHS for to in (np.float32, np.int8)]
                  + [(lambda x: copying.fill(np.empty(x.shape, x.dtype), x[:, ::-1]), (normal(5, n).astype(to),))
                     for n in LENGTHS for to in (np.float32, np.int8)]
                  + [(lambda x: copying.fill(np.empty(x.shape[::-1], x.dtype), x.T), (normal(m, n),))
                     for n in (16, 17, 65) for m in (16, 31, 130)],
    "conversions:converted": [
        (lambda x, to=to: conversions.converted.beside(None)(x, to, x.dtype, "C"), (normal(n).astype(given),))
        for n in (17, 257) for given, to in ((np.float32, bfloat16), (np.float16, float32), (np.float64, float16))
    ],
    "conversions:converted_back": [
        (lambda x: conversions.converted_back.beside(None)(x, None, float16, "C"), (normal(n),)) for n in (17, 257)
    ],
    **{f"lapack:{name}": [factored(name, *rest) for rest in cases] for name, cases in {
        "lu_factor": [()], "inv": [()], "det": [()], "slogdet": [()], "eigh": [("L",)], "cholesky": [(True,), (False,)],
        "solve": [(normal(7, 3),)], "solve_triangular": [(normal(7, 3), True, False, True)],
    }.items()},
    **{f"lapack:{name}": [factored(name, *rest(rows), rows=rows, columns=columns)
                          for rows, columns in ((7, 7), (9, 5), (5, 9))] for name, rest in {
        "qr": lambda rows: ("complete",), "svd": lambda rows: (True,),
        "least_squares": lambda rows: (normal(rows, 2), 1e-6),
    }.items()},
    "pooling:max_pool_backward": [*map(pooled_back, (5, 16, 33))],
    "convolution:Winograd.correlate_weight": [weights_of_convolution(*case) for case in [(1, 1, 1, 4), (2, 3, 17, 7)]],
    "squares:running_squares": [(squares.running_squares, (normal(3, n),)) for n in (8, 24, 80)],
    "mersenne:words": [*map(drawn, (1, 2))],
    "mersenne:bernoulli": UNIFORM,
    "mersenne:remainders": [(lambda w: mersenne.remainders(w, 7, -3), (bits(n),)) for n in (1, 17, 200)],
    "mersenne:shuffled": [(mersenne.shuffled, (bits(n),)) for n in (1, 17, 200)],
    "normals:box_muller_in_groups": [*map(normals_of, (1, 3, 600))],
}  # fmt: skip
CASES |= {f"{kernel} {k}": case for kernel, cases in TABLE.items() for k, case in enumerate(cases)}
# Those of the table that the cases above run, by the beginnings of their names, and one that has nothing compiled.
ELSEWHERE = {
    "gemm:times": "product", "recurrence:forward": "LSTM", "recurrence:backward": "GRU",
    "convolution:Winograd.correlate": "convolution", "convolution:Winograd.correlate_data": "convolution",
    "convolution:Direct.correlate": "few channels", "convolution:Direct.correlate_weight": "few channels",
    "pooling:max_pool_with_indices": "windows", "normalization:standardize": "layer norm",
    "resampling:resample": "resizing", "resampling:resample_transpose": "resizing", "indexing:gather": "elements along",
    "indexing:scatter": "elements along", **{f"sampling:{name}": "places" for name in ("read", "spread", "slope")},
    "sorting:topk": "best of", "indexing:take_rows": "rows of a table",
}  # fmt: skip
BLAS = {"blas:times"}


def test_every_kernel_of_the_table_has_a_case():
    lines = [*choices.CHOICES.values(), *(line for offers in choices.OFFERS.values() for line in offers)]
    kernels = {line.kernel.removeprefix("wengert.kernels.cpu.") for line in lines if line.engine == "llvm"}
    assert kernels == TABLE.keys() | ELSEWHERE.keys() | BLAS
    for beginning in ELSEWHERE.values():
        assert any(name.startswith(beginning) for name in CASES)


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
