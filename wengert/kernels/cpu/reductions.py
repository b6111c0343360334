"""Reductions and the softmax family for large arrays, in the place of `wengert.kernels.reductions`.

Each function has the parameters of the reference and hands back to it what it has no fast form for: dtypes without
vectors, empty arrays, axes that are neither the last ones nor adjacent.
"""

from itertools import pairwise
from math import inf, prod

import numpy as np

from wengert.kernels import choices, sums
from wengert.kernels import reductions as reference
from wengert.kernels.cpu import mathematics as m
from wengert.kernels.cpu.abreast import Along
from wengert.kernels.cpu.columns import REDUCE, ColumnKernel
from wengert.kernels.cpu.expressions import BF16, F16, F32, F64, absolute, cast, compare
from wengert.kernels.cpu.pointwise import Kernel
from wengert.kernels.cpu.rows import RowKernel

FLOATS = {F32, F64, F16, BF16}
eq, ne = compare("eq"), compare("ne")
CHUNK = 1 << 14  # elements of a row into which a long one is cut
FEW = 64  # rows that are too few to be shared by threads as they are
# Elements that NumPy has reduced to one number before threads have begun: its sums are slower than its comparisons, and
# than the products of BLAS.
SUMS, OTHERS = choices.FROM or 1 << 18, choices.FROM or 1 << 21


# --- one number for many elements -------------------------------------------------------------------------------------


class Reduction:
    """Sums (or extremes) of formulas over any adjacent axes.

    Args:
        kinds: for each result "sum", "prod", "max" or "min".
        formula: the array (and what broadcasts against it) to a tuple of trees.
        whole: the least size of an array of which one number is to be made.
    """

    def __init__(self, kinds, formula, whole=SUMS):
        self.kinds, self.whole = kinds, whole
        self.columns = ColumnKernel(kinds, formula)

        def program(row, *inputs):
            for k, (kind, tree) in enumerate(zip(kinds, formula(*inputs), strict=True)):
                total = row.sum(tree, wide=True) if kind == "sum" else getattr(row, kind)(tree)
                row.number(total, k)

        self.rows = RowKernel("reduction", program)

    def __call__(self, axes, x, *others):
        """The results over `axes` of `x`, these kept as 1; None if there is no fast way.

        `others` broadcast against `x`. Sums of floats are float64.
        """
        if not x.size or x.dtype not in FLOATS:
            return None
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        whole = all(n == 1 for n in kept)
        if whole and not others and x.size < self.whole:
            return None
        if whole and not others and not x.flags.c_contiguous:
            dense = x.transpose(sorted(range(x.ndim), key=lambda i: -abs(x.strides[i])))
            x = dense if dense.flags.c_contiguous else x
            axes = range(x.ndim)
        if not x.flags.c_contiguous:
            return None
        axes = sorted(i for i in axes if x.shape[i] > 1)
        between = [i for i in range(axes[0], axes[-1]) if x.shape[i] > 1 and i not in axes] if axes else ()
        if between:  # the last ones first, which leaves little for the others
            last = [i for i in axes if i > between[-1]]
            if prod(x.shape[i] for i in last) < 64:
                return None
            results = self(last, x, *others)
            rest = tuple(i for i in axes if i < between[-1])
            return results and [REDUCE[kind](r, axis=rest, keepdims=True)
                                for kind, r in zip(self.kinds, results, strict=True)]  # fmt: skip
        first, last = (min(axes), max(axes)) if axes else (x.ndim, x.ndim - 1)
        outer, reduced, inner = prod(x.shape[:first]), prod(x.shape[first : last + 1]), prod(x.shape[last + 1 :])
        inputs = [x.reshape(outer, reduced, inner)]
        for other in others:
            view = fitted(other, x.shape, (first, last), (outer, reduced, inner))
            if view is None:
                return None
            inputs.append(view)
        if inner > 1:
            return [r.reshape(kept) for r in self.columns(outer, reduced, inner, inputs)]
        results = self.of_rows(outer, reduced, [a[:, :, 0] for a in inputs])
        return None if results is None else [r.reshape(kept) for r in results]

    def of_rows(self, outer, n, inputs):
        """The results (outer,) for inputs (outer, n); few long rows are cut up, and the parts combined."""
        wide = inputs[0].dtype == F64
        dtypes = [F64 if kind in ("sum", "prod") or wide else F32 for kind in self.kinds]
        if outer >= FEW or n < 2 * CHUNK:
            results = [np.empty((outer, 1), dtype) for dtype in dtypes]
            return results if self.rows((outer, n), inputs, results) else None
        parts, rest = divmod(n, CHUNK)
        results = [np.empty((outer, parts + (rest > 0), 1), dtype) for dtype in dtypes]
        cut = [a[:, : parts * CHUNK].reshape(outer, parts, CHUNK) if a.shape[1] > 1 else a[:, :, None] for a in inputs]
        if not self.rows((outer, parts, CHUNK), cut, [r[:, :parts] for r in results]):
            return None
        if rest:
            tails = [a[:, None, parts * CHUNK :] if a.shape[1] > 1 else a[:, :, None] for a in inputs]
            self.rows((outer, 1, rest), tails, [r[:, parts:] for r in results])
        return [REDUCE[kind](r, axis=1) for kind, r in zip(self.kinds, results, strict=True)]


def fitted(other, shape, ends, folded):
    """`other`, which broadcasts against `shape`, as (outer, reduced or 1, inner); None if it doesn't fold."""
    other = other.reshape((1,) * (len(shape) - other.ndim) + other.shape)
    cuts = (0, ends[0], ends[1] + 1, len(shape))
    full = []
    for start, end in pairwise(cuts):
        have, want = other.shape[start:end], shape[start:end]
        full += have if prod(have) == 1 else want  # a group that is broadcast in part is written out
    if not other.flags.c_contiguous or (prod(full) > other.size and prod(full) > prod(shape) // 8):
        return None
    view = np.broadcast_to(other, full).reshape([prod(full[a:b]) for a, b in pairwise(cuts)])
    return np.broadcast_to(view, (folded[0], view.shape[1], folded[2]))


def rounded(total, input, axes, keepdim):
    """A float64 result in the dtype of the input, without the reduced axes unless they are kept."""
    result = total.astype(input.dtype, copy=False)
    return result if keepdim else result.reshape([n for i, n in enumerate(input.shape) if i not in axes])


def count(shape, axes):
    return prod(shape[i] for i in axes)


SUM = Reduction(("sum",), lambda x: (x,))
NUMBERS = Reduction(("sum",), lambda x: (m.select(ne(x, x), 0, x),))
PRODUCT = Reduction(("prod",), lambda x: (x,))
SQUARES = Reduction(("sum",), lambda x: (cast(x, F64) * cast(x, F64),), OTHERS)
SIZES = Reduction(("sum",), lambda x: (absolute(x),))
DEVIATIONS = Reduction(("sum",), lambda x, mean: (deviation(x, mean),))
MAX = Reduction(("max",), lambda x: (x,), OTHERS)
MIN = Reduction(("min",), lambda x: (x,), OTHERS)
LARGEST = Reduction(("max",), lambda x: (absolute(x),), OTHERS)
ATTAINED = Reduction(("sum",), lambda x, best: (cast(attained(x, best), x.dtype),))
EQUAL = Reduction(("sum",), lambda x, best: (cast(eq(x, best), x.dtype),))
EXPONENTIALS = Reduction(("sum",), lambda x, peak: (m.exp(x - peak),))


def deviation(x, mean):
    d = cast(x, F64) - mean
    return d * d


def attained(x, best):
    """Whether an element is the extreme; NaN attains NaN."""
    both = ne(x, x) & ne(best, best)
    return eq(x, best) | both


def total(kernel, fallback):
    def run(input, dim=None, keepdim=False, *, dtype=None):
        if dtype is None:
            axes = reference.axes_of(dim, input.ndim)
            found = kernel(axes, input)
            if found:
                return rounded(found[0], input, axes, keepdim)
        return fallback(input, dim, keepdim, dtype=dtype)

    return run


sum, nansum = total(SUM, reference.sum), total(NUMBERS, reference.nansum)


def multiplied(input, dim=None, keepdim=False, *, dtype=None):
    if dtype is None and input.ndim:
        axes = tuple(range(input.ndim)) if dim is None else (reference.axis_of(dim, input.ndim),)
        found = PRODUCT(axes, input)
        if found:
            with np.errstate(over="ignore"):
                return rounded(found[0], input, axes, keepdim)
    return reference.prod(input, dim, keepdim, dtype=dtype)


def add_rows(array):
    width = prod(array.shape[1:])
    if array.dtype not in FLOATS or not array.flags.c_contiguous or width < 2 or not len(array):
        return sums.add_rows.reference(array)
    (total,) = SUM.columns(1, len(array), width, [array.reshape(1, -1, width)])
    total = total.astype(array.dtype)
    return total[0] if array.ndim == 2 else total.reshape(array.shape[1:])


def mean(input, dim=None, keepdim=False, *, dtype=None):
    if dtype is None and input.dtype in FLOATS:
        axes = reference.axes_of(dim, input.ndim)
        found = SUM(axes, input)
        if found:
            return rounded(found[0] / count(input.shape, axes), input, axes, keepdim)
    return reference.mean(input, dim, keepdim, dtype=dtype)


def extreme(kernel, fallback):
    def run(input, dim=(), keepdim=False):
        axes = reference.axes_of(dim, input.ndim)
        found = kernel(axes, input) if axes else None
        return fallback(input, dim, keepdim) if not found else rounded(found[0], input, axes, keepdim)

    return run


amax, amin = extreme(MAX, reference.amax), extreme(MIN, reference.amin)


def max_all(input):
    return amax(input) if input.ndim and input.dtype in FLOATS else reference.max_all(input)


def min_all(input):
    return amin(input) if input.ndim and input.dtype in FLOATS else reference.min_all(input)


def var(input, dim=None, correction=1, keepdim=False):
    axes = reference.axes_of(dim, input.ndim)
    found = SUM(axes, input) if input.dtype in FLOATS else None
    if not found:
        return reference.var(input, dim, correction, keepdim)
    n = count(input.shape, axes)
    squares = DEVIATIONS(axes, input, found[0] / n)
    if not squares:
        return reference.var(input, dim, correction, keepdim)
    with np.errstate(all="ignore"):
        return rounded(squares[0] / np.float64(max(n - correction, 0)), input, axes, keepdim)


def std(input, dim=None, correction=1, keepdim=False):
    return np.sqrt(var(input, dim, correction, keepdim))


def log_of_sum_row(row, x):
    """log of the sum of e^x; where the largest is infinite, that is the result."""
    peak = row.max(x)
    base = m.select(eq(absolute(peak), inf), 0.0, peak)
    total = m.log(row.sum(m.exp_down(x - base), wide=True)) + cast(base, F64)
    row.number(m.select(eq(peak, inf), cast(peak, F64), total), 0)


LOG_OF_SUM = Along("logsumexp", log_of_sum_row)


def logsumexp(input, dim, keepdim=False):
    axes = reference.axes_of(dim, input.ndim)
    if len(axes) == 1 and input.dtype in FLOATS and input.size:
        out = np.empty([1 if i in axes else n for i, n in enumerate(input.shape)], np.float64)
        if LOG_OF_SUM(axes[0], [input], out):
            return rounded(out, input, axes, keepdim)
    found = MAX(axes, input) if axes and input.dtype in FLOATS else None
    if not found:
        return reference.logsumexp(input, dim, keepdim)
    peak = np.where(np.isinf(found[0]), np.zeros((), found[0].dtype), found[0])
    total = EXPONENTIALS(axes, input, peak)
    if not total:
        return reference.logsumexp(input, dim, keepdim)
    with np.errstate(divide="ignore"):
        return rounded(np.log(total[0]) + peak, input, axes, keepdim)


NORMS = {2: SQUARES, 1: SIZES, inf: LARGEST}


def vector_norm(input, p=2, dim=None, keepdim=False, *, dtype=None):
    kernel = NORMS.get(p)
    if dtype is None and kernel is not None and input.dtype in FLOATS:
        axes = reference.axes_of(dim, input.ndim)
        whole = len(axes) == input.ndim and input.flags.f_contiguous
        if p == 2 and input.dtype == F32 and (whole or reference.adjoining(axes, input)):  # as PyTorch rounds it
            return reference.vector_norm(input, p, dim, keepdim)
        found = kernel(axes, input)
        if found and p == 2:
            # The sum of squares over- and underflows where PyTorch's does.
            return rounded(np.sqrt(found[0].astype(F64 if input.dtype == F64 else F32)), input, axes, keepdim)
        if found:
            return rounded(found[0], input, axes, keepdim)
    return reference.vector_norm(input, p, dim, keepdim, dtype=dtype)


# --- their derivatives ------------------------------------------------------------------------------------------------


def kept(x, shape, dim, keepdim):
    """A reduced value with the reduced axes as 1."""
    axes = reference.axes_of(dim, len(shape))
    return x if keepdim or not shape else x.reshape([1 if i in axes else n for i, n in enumerate(shape)])


def share(g, x, best):
    return np.where((x == best) | ((x != x) & (best != best)), g, 0)


SHARE = Kernel("max/input", share)
EQUAL_SHARE = Kernel("amax/input", lambda g, x, best: np.where(x == best, g, g * 0))
DEVIATION = Kernel("var/input", lambda g, x, mean: g * (x - mean))
EXPONENTIAL = Kernel("logsumexp/input", lambda g, x, out: g * np.exp(x - out))
SCALED = Kernel("linalg_vector_norm/input", lambda g, x: g * x)
SIGNED = Kernel("linalg_vector_norm/input", lambda g, x: np.where(x > 0, g, np.where(x < 0, -g, 0)))


def equal_shares(g, input, out, dim, keepdim):
    """Shared equally among the elements that equal the extreme; NaN for all where it is NaN, which nothing equals."""
    axes = reference.axes_of(dim, input.ndim)
    out, g = kept(np.asarray(out), input.shape, dim, keepdim), kept(np.asarray(g), input.shape, dim, keepdim)
    found = EQUAL(axes, input, out)
    number = found[0] if found else np.add.reduce(input == out, axis=axes, keepdims=True, dtype=np.float64)
    with np.errstate(all="ignore"):
        return EQUAL_SHARE((g / number).astype(input.dtype), input, out)


def whole_extreme_gradient(g, input, out):
    """Shared equally among the elements that attain the extreme: NaN attains NaN."""
    axes = tuple(range(input.ndim))
    out, g = kept(np.asarray(out), input.shape, None, False), kept(np.asarray(g), input.shape, None, False)
    found = ATTAINED(axes, input, out)
    number = found[0] if found else np.add.reduce(share(1, input, out), axis=axes, keepdims=True, dtype=np.float64)
    return SHARE((g / number).astype(input.dtype), input, out)


def both_extremes_gradient(g, g_max, input, min, max, dim, keepdim):
    """Of `aminmax`."""
    least = equal_shares(g, input, min, dim, keepdim)
    return np.add(least, equal_shares(g_max, input, max, dim, keepdim), out=least)


def var_gradient(g, input, dim, correction, keepdim):
    n = count(input.shape, reference.axes_of(dim, input.ndim)) - correction
    factor = (kept(np.asarray(g), input.shape, dim, keepdim) * (2 / n if n > 0 else np.nan)).astype(input.dtype)
    return DEVIATION(factor, input, np.asarray(mean(input, dim, True)))


def std_gradient(g, input, out, dim, correction, keepdim):
    with np.errstate(all="ignore"):
        slope = np.where(out == 0, 0, g / (2 * out)).astype(input.dtype)
    return var_gradient(slope, input, dim, correction, keepdim)


def logsumexp_gradient(g, input, out, dim, keepdim):
    out, g = kept(np.asarray(out), input.shape, dim, keepdim), kept(np.asarray(g), input.shape, dim, keepdim)
    return EXPONENTIAL(g, input, out.astype(input.dtype))


class norm_gradient:
    """The derivative of the norms of order 1 and 2; that of others by the reference."""

    @staticmethod
    def beside(fallback):
        """As called where `fallback` is the reference."""

        def run(g, input, out, p, dim, keepdim):
            if p not in (1, 2) or input.dtype not in (F32, F64):
                return fallback(g, input, out, p, dim, keepdim)
            g = kept(np.asarray(g), input.shape, dim, keepdim)
            if p == 1:
                return SIGNED(g, input)
            out = kept(np.asarray(out), input.shape, dim, keepdim)
            with np.errstate(all="ignore"):
                return SCALED(np.where(out == 0, 0, g / out).astype(input.dtype), input)

        return run


# --- softmax and its kind ---------------------------------------------------------------------------------------------


def softmax_row(row, x):
    e = row.keep(m.exp_down(x - row.peak(x)))
    row.store(e * cast(1 / row.sum(e, wide=True), x.dtype))


def log_softmax_row(row, x):
    peak = row.peak(x)
    row.store((x - peak) - cast(m.log(row.sum(m.exp_down(x - peak), wide=True)), x.dtype))


def softmax_back_row(row, g, out):
    row.store(out * (g - row.sum(g * out)))


def log_softmax_back_row(row, g, out):
    row.store(g - m.exp_down(out) * row.sum(g))


SOFTMAX, LOG_SOFTMAX = Along("softmax", softmax_row), Along("log_softmax", log_softmax_row)
SOFTMAX_BACK = Along("softmax/input", softmax_back_row)
LOG_SOFTMAX_BACK = Along("log_softmax/input", log_softmax_back_row)


def along(kernel, axis, *arrays):
    """The result of a row program along an axis, or None."""
    first = arrays[0]
    if any(a.dtype != first.dtype or a.dtype not in FLOATS for a in arrays) or not first.size or not first.ndim:
        return None
    out = np.empty(first.shape, first.dtype)
    return out if kernel(axis, arrays, out) else None


def softmax(input, dim, *, dtype=None):
    axis = reference.axis_of(dim, input.ndim)
    found = along(SOFTMAX, axis, input) if dtype is None else None
    return reference.softmax(input, dim, dtype=dtype) if found is None else found


def log_softmax(input, dim, *, dtype=None):
    axis = reference.axis_of(dim, input.ndim)
    # Along the last axis PyTorch rounds the logarithm of the sum to 16 bits where the scores have 16; so does the
    # reference.
    exact = dtype is None and (input.dtype in (F32, F64) or axis < input.ndim - 1)
    found = along(LOG_SOFTMAX, axis, input) if exact else None
    return reference.log_softmax(input, dim, dtype=dtype) if found is None else found


def fully(array, shape):
    """`array` in the shape to which it broadcasts."""
    return array if array.shape == shape else np.broadcast_to(array, shape)


def softmax_gradient(g, out, dim):
    found = along(SOFTMAX_BACK, reference.axis_of(dim, out.ndim), fully(g, out.shape), out)
    return out * (g - np.add.reduce(g * out, axis=dim, keepdims=True)) if found is None else found


def log_softmax_gradient(g, out, dim):
    found = along(LOG_SOFTMAX_BACK, reference.axis_of(dim, out.ndim), fully(g, out.shape), out)
    return g - np.exp(out) * np.add.reduce(g, axis=dim, keepdims=True) if found is None else found
