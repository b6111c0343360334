"""Fast reductions, softmax, normalization and losses give what the reference kernels give, as exactly or better."""

from math import inf, nan

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import cpu
from wengert.kernels import losses as reference_losses
from wengert.kernels import normalization as reference_normalization
from wengert.kernels import reductions as reference
from wengert.kernels.cpu import losses, normalization, reductions

cpu.begin()

SHAPES = [(1,), (17,), (1000,), (40_000,), (3, 1), (1, 5), (16, 33), (7, 200), (2, 40_001), (2, 3, 65), (5, 1, 4, 100),
          (100, 3), (600, 70), (4, 129, 70)]  # fmt: skip
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(0.5, 2, shape).astype(dtype)


def exact(x):
    return np.asarray(x).astype(np.float64)


def close(got, wanted, dtype, scale=1):
    tolerance = {2: 1e-2, 4: 2e-6, 8: 1e-13}[np.dtype(dtype).itemsize] * scale
    np.testing.assert_allclose(exact(got), exact(wanted), tolerance, tolerance)


@st.composite
def reduced(draw):
    """An array, some axes of it, keepdim."""
    shape = draw(st.sampled_from(SHAPES))
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    x = numbers(shape, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 9)))
    layout = draw(st.sampled_from(["contiguous", "transposed", "strided", "reversed"]))
    if layout == "transposed":
        x = x.T.copy().T
    elif layout == "strided":
        x = np.repeat(x, 2, -1)[..., ::2]
    elif layout == "reversed":
        x = x[..., ::-1].copy()[..., ::-1]
    return x, tuple(sorted(axes)) or None, draw(st.booleans())


NAMES = ["sum", "mean", "amax", "amin", "var", "logsumexp"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(case=reduced())
def test_reductions(name, case):
    x, axes, keepdim = case
    if name == "logsumexp" and axes is None:
        axes = tuple(range(x.ndim))
    dim = () if axes is None and name in ("amax", "amin") else axes
    got = getattr(reductions, name)(x, dim, keepdim=keepdim)
    wanted = getattr(reference, name)(exact(x), dim, keepdim=keepdim)
    assert got.dtype == x.dtype
    assert got.shape == np.shape(wanted)
    count = x.size / max(np.size(wanted), 1)
    if name == "var" and count < 2:
        return
    # What falls back to the reference has its roundings: of each step in 16 bits, of each addend in a sum.
    scale = max(count**0.5, 1) if name == "sum" else 10 if x.dtype.itemsize == 2 else 1
    close(got, wanted, x.dtype, scale)


@settings(max_examples=40, deadline=None)
@given(case=reduced())
def test_sums_that_leave_out_nan(case):
    x, axes, keepdim = case
    x = np.where(np.abs(x.astype(np.float32)) < 1, np.nan, x).astype(x.dtype)
    got, wanted = reductions.nansum(x, axes, keepdim), reference.nansum(exact(x), axes, keepdim)
    assert got.dtype == x.dtype
    assert got.shape == np.shape(wanted)
    close(got, wanted, x.dtype, max((x.size / max(np.size(wanted), 1)) ** 0.5, 1))


@settings(max_examples=40, deadline=None)
@given(case=reduced())
def test_products(case):
    x, axes, keepdim = case
    axis = axes[0] if axes else None
    x = np.exp2(np.round(x.astype(np.float32)) / 8).astype(x.dtype)
    logs = np.log2(exact(x))
    x = np.where(np.random.default_rng(0).random(x.shape) < 0.5, x, -x).astype(x.dtype)
    got = reductions.multiplied(x, axis, keepdim)
    wanted = reference.prod(exact(x), axis, keepdim)
    assert got.dtype == x.dtype
    assert got.shape == np.shape(wanted)
    # partial products, in whatever order, that a float holds
    limit = {2: 14, 4: 120, 8: 1000}[x.dtype.itemsize] if x.dtype != ml_dtypes.bfloat16 else 120
    held = np.add.reduce(np.abs(logs), axis=axis, keepdims=keepdim) < limit
    np.testing.assert_allclose(exact(got)[held], wanted[held], {2: 0.3, 4: 1e-3, 8: 1e-12}[x.dtype.itemsize])


@pytest.mark.parametrize("special", [0, nan, inf])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_products_with_a_special_number(dim, special):
    x = np.full((40, 70), 1.0, np.float32)
    x[3, 5], x[3, 6] = special, -1
    np.testing.assert_array_equal(reductions.multiplied(x, dim), reference.prod(x, dim))


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_both_extremes_share_their_gradients(dim):
    x = numbers((30, 50), np.float32).round()
    if dim is None:
        x[2, 3] = nan  # which nothing equals
    axis = (0, 1) if dim is None else dim
    g, g_max = (numbers(np.min(x, axis).shape, np.float32, seed) for seed in (1, 2))
    found = reductions.both_extremes_gradient(g, g_max, x, np.min(x, axis), np.max(x, axis), dim, False)
    with np.errstate(invalid="ignore"):
        wanted = sum(
            np.expand_dims(c, axis) * (x == best) / (x == best).sum(axis, keepdims=True)
            for c, best in ((g, np.min(x, axis, keepdims=True)), (g_max, np.max(x, axis, keepdims=True)))
        )
    np.testing.assert_allclose(found, wanted, 1e-6)


@pytest.mark.parametrize("p", [2, 1, inf, 3, 0])
def test_norms(p):
    for shape in SHAPES:
        x = numbers(shape, np.float32)
        for dim in (None, -1, 0):
            close(reductions.vector_norm(x, p, dim), reference.vector_norm(exact(x), p, dim), np.float32, 4)


@pytest.mark.parametrize("dim", [0, 1])
def test_squares_beyond_float32_give_infinite_norms_and_zeros(dim):
    x = np.ones((40, 40), np.float32)
    for value, norm in ((3e38, inf), (1e-30, 0)):
        assert (reductions.vector_norm(x * np.float32(value), 2, dim) == norm).all()
    assert (reductions.vector_norm(x.astype(np.float64) * 3e38, 2, dim) > 1e38).all()


def test_a_sum_of_ten_million_is_exact_to_the_last_place():
    x = np.full(10_000_000, 0.1, np.float32)
    assert reductions.sum(x) == np.float32(x.astype(np.float64).sum())


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_extremes_of_nan_and_infinities(name):
    x = numbers((50, 100), np.float32)
    x[3, 50], x[4, 99], x[5, 0], x[6] = nan, inf, -inf, -inf
    for dim in (0, 1, ()):
        np.testing.assert_array_equal(getattr(reductions, name)(x, dim), getattr(reference, name)(x, dim))


def test_logsumexp_of_infinities():
    x = numbers((4, 100), np.float32)
    x[0], x[1, 3], x[2, 3] = -inf, inf, nan
    np.testing.assert_allclose(reductions.logsumexp(x, 1), reference.logsumexp(x, 1), 1e-6)


@settings(max_examples=60, deadline=None)
@given(case=reduced())
def test_gradients_of_reductions(case):
    x, axes, keepdim = case
    if x.dtype.itemsize < 4 or axes is None:
        return
    wide, g = exact(x), exact(reference.sum(x, axes, keepdim)) * 0 + 1.5
    kept = reference.sum(wide, axes, True) * 0 + 1.5
    peak = reference.amax(wide, axes, True)
    ties = (wide == peak).sum(axes, keepdims=True)
    close(reductions.equal_shares(g.astype(x.dtype), x, reference.amax(x, axes, keepdim), axes, keepdim),
          np.where(wide == peak, kept / ties, 0), x.dtype)  # fmt: skip
    n = x.size // kept.size
    if n > 1:
        close(reductions.var_gradient(g.astype(x.dtype), x, axes, 1, keepdim),
              kept * 2 / (n - 1) * (wide - wide.mean(axes, keepdims=True)), x.dtype, 2)  # fmt: skip
    out = reference.logsumexp(x, axes, keepdim)
    close(reductions.logsumexp_gradient(g.astype(x.dtype), x, out, axes, keepdim),
          kept * np.exp(wide - reference.logsumexp(wide, axes, True)), x.dtype, 8)  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_and_its_gradients(shape, dtype):
    x, g = numbers(shape, dtype), numbers(shape, dtype, 1)
    soft, log = reductions.softmax(x, -1), reductions.log_softmax(x, -1)
    close(soft, reference.softmax(exact(x), -1), dtype)
    close(log, reference.log_softmax(exact(x), -1), dtype, 4)
    close(reductions.softmax_gradient(g, soft, -1),
          exact(soft) * (exact(g) - (exact(g) * exact(soft)).sum(-1, keepdims=True)), dtype, 4)  # fmt: skip
    close(reductions.log_softmax_gradient(g, log, -1),
          exact(g) - np.exp(exact(log)) * exact(g).sum(-1, keepdims=True), dtype, 200)  # fmt: skip


def test_softmax_of_extreme_rows():
    x = numbers((5, 100), np.float32)
    x[0], x[1, 3], x[2, 3], x[3, 5], x[4] = -inf, inf, nan, -inf, 1e30
    for name in ("softmax", "log_softmax"):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(getattr(reductions, name)(x, 1), getattr(reference, name)(x, 1), 2e-6)


NORMS = {  # shape, the shape seen, axes, shape of the parameters
    "layer": ((70, 130), (70, 130), (1,), (130,)),
    "layer of two": ((20, 5, 33), (20, 5, 33), (1, 2), (5, 33)),
    "batch": ((6, 7, 10, 11), (6, 7, 10, 11), (0, 2, 3), (1, 7, 1, 1)),
    "batch of rows": ((300, 20), (300, 20), (0,), (1, 20)),
    "instance": ((4, 5, 9, 10), (4, 5, 9, 10), (2, 3), (1, 5, 1, 1)),
    "group": ((4, 6, 9, 10), (4, 3, 180), (2,), (1, 6, 1, 1)),
}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_normalization(name, affine):
    shape, seen, axes, parameters = NORMS[name]
    x, g = numbers(shape, np.float32), numbers(shape, np.float32, 1)
    flat = [n for n in parameters if n > 1]
    weight, bias = (numbers(flat, np.float32, 2), numbers(flat, np.float32, 3)) if affine else (None, None)
    mean, variance = normalization.statistics(x, seen, axes)
    wide_mean, wide_variance = reference_normalization.statistics.reference(exact(x), seen, axes)
    close(mean, wide_mean, np.float32)
    close(variance, wide_variance, np.float32, 4)
    rstd = 1 / np.sqrt(variance + np.float32(1e-5))
    given = (x, weight, bias, mean, rstd)
    wide = [None if a is None else exact(a) for a in given]
    close(normalization.normalize(*given, seen, axes, parameters),
          reference_normalization.normalize.reference(*wide, seen, axes, parameters), np.float32, 4)  # fmt: skip
    needs = (True, affine, affine)
    for fixed in (False, True):
        got = normalization.gradients(g, x, weight, mean, rstd, seen, axes, parameters, fixed, 1e-5, needs)
        wanted = reference_normalization.gradients.reference(
            exact(g), wide[0], wide[1], wide[3], wide[4], seen, axes, parameters, fixed, 1e-5, needs)  # fmt: skip
        for ours, theirs in zip(got, wanted, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert ours.shape == theirs.shape
                close(ours, theirs, np.float32, 40)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignored", [-100, 3])
@pytest.mark.parametrize("shape", [(50, 1000), (7, 10), (3, 20, 4, 5)])
def test_cross_entropy(shape, ignored, reduction):
    x = numbers(shape, np.float32)
    target = np.random.default_rng(1).integers(0, shape[1], (shape[0], *shape[2:]))
    target.flat[:5] = 3
    loss, kept = losses.cross_entropy(x, target, ignored, reduction)
    wanted, theirs = reference_losses.cross_entropy(exact(x), target, ignored, reduction)
    close(loss, wanted, np.float32, 4)
    g = np.ones(np.shape(wanted)) * 1.5
    slope = losses.cross_entropy_gradient(g.astype(np.float32), x, target, ignored, reduction, kept)
    exact_slope = reference_losses.cross_entropy_gradient(g, exact(x), target, ignored, reduction, theirs)
    close(slope, exact_slope, np.float32, 2)
    again = reference_losses.cross_entropy_gradient(g.astype(np.float32), x, target, ignored, reduction, kept)
    close(again, exact_slope, np.float32, 2)


def test_cross_entropy_of_infinite_scores_is_no_number():
    x, target = numbers((4, 100), np.float32), np.array([3, 3, 3, 5])
    x[0, 7], x[1, 3], x[2] = inf, inf, -inf
    losses_, kept = losses.cross_entropy(x, target, reduction="none")
    np.testing.assert_array_equal(np.isnan(losses_), [True, True, True, False])
    slope = losses.cross_entropy_gradient(np.ones(4, np.float32), x, target, -100, "none", kept)
    np.testing.assert_array_equal(np.isnan(slope).all(1), [True, True, True, False])
    assert np.isfinite(slope[3]).all()


@pytest.mark.parametrize(("dtype", "offset"), [(np.float32, 1e30), (np.float64, 1e30), (np.float64, 1e6)])
def test_cross_entropy_of_large_scores_is_that_of_their_differences(dtype, offset):
    x, target = np.full((3, 100), -offset, dtype), np.array([3, 4, 3])
    x[:, 3:5] = offset
    loss, kept = losses.cross_entropy(x, target, reduction="none")
    np.testing.assert_allclose(loss, np.log(2), 1e-6 if dtype == np.float32 else 1e-14)
    slope = losses.cross_entropy_gradient(np.ones(3, dtype), x, target, -100, "none", kept)
    np.testing.assert_allclose(slope[0, 3:5], [-0.5, 0.5], 1e-6 if dtype == np.float32 else 1e-14)


def test_the_same_bits_for_any_number_of_threads():
    import wengert

    x = numbers((3, 300_001), np.float32)
    before = wengert.get_num_threads()
    try:
        results = []
        for count in (1, 2, 5):
            wengert.set_num_threads(count)
            results.append((reductions.sum(x), reductions.var(x, 0), reductions.softmax(x, 1).tobytes()))
        for result in results[1:]:
            assert result[0] == results[0][0]
            assert (result[1] == results[0][1]).all()
            assert result[2] == results[0][2]
    finally:
        wengert.set_num_threads(before)
