"""Order: sorting, selection by rank, distinct values, bins.

All of it rests on two sorts that agree with PyTorch where order is a matter of taste: NaN is greater than every number
(so it comes last in ascending order, first in descending order), and equal elements keep the order in which they
stood. PyTorch promises the second only for ``stable=True``; here it always holds, so that indices can be relied on.

Functions return arrays, or tuples of arrays (values before indices); indices are int64.
"""

import functools

import ml_dtypes
import numpy as np

from wengert.kernels.choices import offered
from wengert.kernels.indexing import along, like_source, scalar_name, wrap_dim


def _sortable(input):
    """The array in a dtype that NumPy sorts with NaN last: the small floats of ml_dtypes go through float32."""
    dtype = input.dtype
    if dtype.itemsize < 4 and dtype.kind in "fV" and dtype in _SMALL:
        return input.astype(np.float32)
    return input


_SMALL = (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)


def _refuse(input, kinds, error):
    if input.dtype.kind in kinds:
        raise error


def _along_dim(function):
    """Let a function of (array, dim, ...) with two results take any `dim`, and 0-d arrays as vectors of one element."""

    @functools.wraps(function)
    def outer(input, dim=-1, **options):
        dim = wrap_dim(dim, input.ndim)
        if input.ndim:
            return function(input, dim, **options)
        return tuple(part.reshape(()) for part in function(input.reshape(1), 0, **options))

    return outer


# --------------------------------------------------------------------------------------------------------------------
# Sorting
# --------------------------------------------------------------------------------------------------------------------


def _order(input, dim, descending):
    keys = _sortable(input)
    if not descending:
        return np.argsort(keys, axis=dim, kind="stable")
    # Sorting the mirrored array upwards and mirroring the result sorts downwards, NaN first, and keeps ties in place.
    mirror = (*(slice(None),) * (dim % keys.ndim), slice(None, None, -1))
    mirrored = keys[mirror].argsort(axis=dim, kind="stable")
    return np.ascontiguousarray(input.shape[dim] - 1 - mirrored[mirror])


@_along_dim
def sort(input, dim, descending=False, stable=True):
    """Sort along `dim`.

    Args:
        input: any real dtype.
        dim: the dimension to sort along.
        descending: largest (NaN) first.
        stable: has no effect, every sort here is stable.

    Returns:
        (values, indices), each of the shape of `input`.
    """
    _refuse(input, "c", RuntimeError(" Sort does not support complex dtypes on CPU"))
    order = _order(input, dim, descending)
    return like_source(along(input, order, dim), input), like_source(order, input)


def argsort(input, dim=-1, descending=False, stable=True):
    """The indices that sort `input` along `dim`, as the second result of :func:`sort`."""
    return sort(input, dim, descending=descending)[1]


def msort(input):
    """`input` sorted along its first dimension."""
    return sorted_values(input, 0)


def sorted_values(input, dim):
    """`input` sorted along `dim`, for those who don't ask where the elements came from: several times as quick."""
    _refuse(input, "c", RuntimeError(" Sort does not support complex dtypes on CPU"))
    return np.sort(_sortable(input), axis=dim).astype(input.dtype, copy=False) if input.ndim else input.copy()


def topk(input, k, dim=-1, largest=True, sorted=True):
    """The `k` largest (or smallest) elements along `dim`, in order.

    Returns:
        (values, indices), k along `dim`. Of equal elements the earlier come first.

    Raises:
        RuntimeError: k is out of range, or the dtype is boolean or complex.
    """
    dim = wrap_dim(dim, input.ndim)
    size = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError("selected index k out of range")
    _refuse(input, "b", RuntimeError("topk does not support bool dtypes on CPU"))
    _refuse(input, "c", RuntimeError(" topk does not support complex dtypes on CPU"))
    if input.ndim == 0:
        return input.copy(), np.zeros((), np.int64)
    fast = offered("sorting.topk", input.size, input, k, dim, largest)
    if fast is not None:
        return fast
    candidates = _candidates(_sortable(input), dim, k, largest) if size > 256 and 0 < k * 8 < size else None
    if candidates is None:
        indices = _slice(_order(input, dim, largest), dim, 0, k)
    else:
        order = _slice(_order(along(input, candidates, dim), dim, largest), dim, 0, k)
        indices = along(candidates, order, dim)
    return np.ascontiguousarray(along(input, indices, dim)), np.ascontiguousarray(indices)


def _candidates(keys, dim, k, largest):
    """Indices, rising, of the k best elements along `dim`, of equal ones the first; None where NaN is the k-th best.

    NumPy partitions values with vector instructions, but not indices: so the k-th best is found first, then compared.
    """
    place = keys.shape[dim] - k if largest else k - 1
    threshold = _slice(np.partition(keys, place, axis=dim), dim, place, place + 1)
    if keys.dtype.kind == "f" and np.isnan(threshold).any():
        return None
    chosen = ~(keys < threshold) if largest else keys <= threshold
    if np.count_nonzero(chosen) != k * threshold.size:
        ties = keys == threshold
        chosen ^= ties
        ties &= np.cumsum(ties, axis=dim) <= k - np.count_nonzero(chosen, axis=dim, keepdims=True)
        chosen |= ties
    places = np.moveaxis(chosen, dim, -1).nonzero()[-1]
    return np.moveaxis(places.reshape(*np.delete(keys.shape, dim), k), -1, dim)


def _slice(input, dim, start, stop):
    return input[(*(slice(None),) * dim, slice(start, stop))]


# --------------------------------------------------------------------------------------------------------------------
# Selection by rank
# --------------------------------------------------------------------------------------------------------------------


def _need_elements(input, dim, name):
    if input.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


def _pick(input, indices, dim, keepdim):
    """(values, indices) of one element per vector along `dim`; `indices` has size one along `dim`."""
    values = np.ascontiguousarray(along(input, indices, dim))
    indices = np.ascontiguousarray(indices)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


@_along_dim
def kthvalue(input, dim, k, keepdim=False):
    """The k-th smallest element along `dim` (k counts from 1) and its index.

    Raises:
        RuntimeError: k is out of range.
        NotImplementedError: boolean or complex elements.
    """
    size = input.shape[dim]
    if size == 0:
        raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    _refuse(input, "b", NotImplementedError("\"kthvalue_cpu\" not implemented for 'Bool'"))
    _refuse(input, "c", NotImplementedError('"kthvalue_cpu" not implemented for complex dtypes'))
    return _pick(input, _of_rank(input, dim, k - 1), dim, keepdim)


def _of_rank(input, dim, rank):
    """The index (one along `dim`) of the element that a stable sort would bring to place `rank`.

    NumPy partitions values with vector instructions but not indices: so the value is found first, and then compared.
    """
    keys = _sortable(input)
    value = _slice(np.partition(keys, rank, axis=dim), dim, rank, rank + 1)
    equal = keys == value
    counts = np.count_nonzero(equal, axis=dim, keepdims=True)
    if (counts == 1).all():
        return np.argmax(equal, axis=dim, keepdims=True)
    if keys.dtype.kind == "f" and np.isnan(value).any():
        return _slice(_order(input, dim, False), dim, rank, rank + 1)
    before = np.count_nonzero(keys < value, axis=dim, keepdims=True)
    return np.argmax(equal & (np.cumsum(equal, axis=dim) == rank - before + 1), axis=dim, keepdims=True)


@_along_dim
def median(input, dim, keepdim=False):
    """The lower median along `dim` and its index; a vector with a NaN has its first NaN for median."""
    return _median(input, dim, keepdim, ignore_nan=False)


@_along_dim
def nanmedian(input, dim, keepdim=False):
    """The lower median along `dim` of what is not NaN, and its index (NaN, at 0, if nothing else is there)."""
    return _median(input, dim, keepdim, ignore_nan=True)


def _median(input, dim, keepdim, ignore_nan):
    _need_elements(input, dim, "median")
    _refuse(input, "b", NotImplementedError("\"median_out\" not implemented for 'Bool'"))
    _refuse(input, "c", NotImplementedError('"median_out" not implemented for complex dtypes'))
    nans = np.isnan(input).sum(axis=dim, keepdims=True) if input.dtype.kind not in "iu" else 0
    size = input.shape[dim]
    if not np.any(nans):
        return _pick(input, _of_rank(input, dim, (size - 1) // 2), dim, keepdim)
    order = _order(input, dim, False)
    if ignore_nan:
        rank = np.maximum(size - nans - 1, 0) // 2
    else:
        rank = np.where(nans > 0, size - nans, (size - 1) // 2)  # NaNs are last, the first of them at size - nans
    rank = np.broadcast_to(rank, (*input.shape[:dim], 1, *input.shape[dim + 1 :]))
    return _pick(input, along(order, rank, dim), dim, keepdim)


def median_of_all(input, ignore_nan=False):
    """The lower median of all elements, as a 0-d array (NaN if there are none)."""
    if input.size == 0:
        return np.asarray(np.nan).astype(input.dtype)
    flat = input.reshape(-1)
    _refuse(input, "b", NotImplementedError("\"median_cpu\" not implemented for 'Bool'"))
    _refuse(input, "c", NotImplementedError('"median_cpu" not implemented for complex dtypes'))
    keys = _sortable(flat)
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        keys = keys[~np.isnan(keys)]
        if not ignore_nan or keys.size == 0:
            return np.asarray(np.nan).astype(input.dtype)
    middle = (keys.size - 1) // 2
    return np.asarray(np.partition(keys, middle)[middle]).astype(input.dtype)


@_along_dim
def mode(input, dim, keepdim=False):
    """The most frequent value along `dim` (the smallest of several) and the index of its last occurrence."""
    _refuse(input, "c", NotImplementedError('"mode_cpu" not implemented for complex dtypes'))
    _need_elements(input, dim, "mode")
    order = _order(input, dim, False)
    values = along(input, order, dim)
    size = input.shape[dim]
    place = np.arange(size).reshape(-1, *(1,) * (input.ndim - 1 - dim))
    starts = np.ones(values.shape, bool)
    np.not_equal(_slice(values, dim, 1, size), _slice(values, dim, 0, size - 1), out=_slice(starts, dim, 1, size))
    run_start = np.maximum.accumulate(np.where(starts, place, 0), axis=dim)
    # Within its run the k-th occurrence holds k, so the first maximum is the end of the first longest run.
    last = np.argmax(place - run_start, axis=dim, keepdims=True)
    return _pick(input, along(order, last, dim), dim, keepdim)


def _running_extreme(ufunc, name):
    @_along_dim
    def running(input, dim):
        keys = _sortable(input)
        values = ufunc.accumulate(keys, axis=dim)
        place = np.arange(input.shape[dim]).reshape(-1, *(1,) * (input.ndim - 1 - dim))
        reached = (keys == values) if keys.dtype.kind != "f" else (keys == values) | np.isnan(keys)
        indices = np.maximum.accumulate(np.where(reached, place, 0), axis=dim)
        return np.ascontiguousarray(values.astype(input.dtype, copy=False)), np.ascontiguousarray(indices)

    def running_extreme(input, dim):
        if input.dtype.kind == "c":  # but for what has no order to ask for
            if input.ndim and input.size:
                kind = "ComplexFloat" if input.itemsize == 8 else "ComplexDouble"
                raise NotImplementedError(f'"{name}_cpu" not implemented for \'{kind}\'')
            wrap_dim(dim, input.ndim)
            return input.copy(), np.zeros(input.shape, np.int64)
        return running(input, dim)

    running_extreme.__name__ = running_extreme.__qualname__ = name
    return running_extreme


cummax = _running_extreme(np.maximum, "cummax")
cummax.__doc__ = "The largest element so far along `dim` and the index of its latest occurrence; NaN stays once met."
cummin = _running_extreme(np.minimum, "cummin")
cummin.__doc__ = "The smallest element so far along `dim` and the index of its latest occurrence; NaN stays once met."


# --------------------------------------------------------------------------------------------------------------------
# Distinct values
# --------------------------------------------------------------------------------------------------------------------


def unique(input, return_inverse=False, return_counts=False, dim=None):
    """The distinct values, rising; or with `dim` the distinct slices along it, in lexicographic order.

    Args:
        input: real dtypes. NaNs are all distinct.
        return_inverse, return_counts: what else to return.
        dim: None to compare single elements.

    Returns:
        (values, inverse, counts), the last two None unless asked for. ``inverse`` has the shape of `input` (or length
        ``input.shape[dim]``) and says where each element went; ``counts`` how many went to each place.
    """
    _refuse(input, "c", NotImplementedError('"unique" not implemented for complex dtypes'))
    if dim is None:
        flat, order = input.reshape(-1), ()
        if return_inverse:
            order = np.argsort(_sortable(flat), kind="stable")
            ranked = flat[order]
        else:
            ranked = sorted_values(flat, 0)
        starts = _starts(ranked[1:] != ranked[:-1], flat.size)
        values, shape = ranked[starts], input.shape
    else:
        slices, rest, dim = _slices(input, dim)
        # lexsort takes its most important key last
        order = np.lexsort(_sortable(slices).T[::-1]) if slices.shape[1] else np.arange(len(slices))
        ranked = slices[order]
        starts = _starts((ranked[1:] != ranked[:-1]).any(axis=1), len(slices))
        values, shape = np.moveaxis(ranked[starts].reshape(-1 if slices.size else 0, *rest), 0, dim), (len(slices),)
    inverse = counts = None
    if return_inverse:
        inverse = np.empty(len(order), np.int64)
        inverse[order] = np.cumsum(starts) - 1
        inverse = inverse.reshape(shape)
    if return_counts:
        counts = np.diff(np.flatnonzero(starts), append=len(starts))
    return values, inverse, counts


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """`input` without elements (or slices along `dim`) that equal the one before; returns as :func:`unique`."""
    _refuse(input, "c", NotImplementedError('"unique" not implemented for complex dtypes'))
    if dim is None:
        flat = input.reshape(-1)
        starts = _starts(flat[1:] != flat[:-1], flat.size)
        values, shape = flat[starts], input.shape
    else:
        slices, rest, dim = _slices(input, dim)
        starts = _starts((slices[1:] != slices[:-1]).any(axis=1), len(slices))
        values, shape = np.moveaxis(slices[starts].reshape(-1 if slices.size else 0, *rest), 0, dim), (len(slices),)
    inverse = (np.cumsum(starts) - 1).reshape(shape) if return_inverse else None
    counts = np.diff(np.flatnonzero(starts), append=len(starts)) if return_counts else None
    return values, inverse, counts


def _starts(differs, size):
    starts = np.ones(size, bool)
    starts[1:] = differs
    return starts


def _slices(input, dim):
    if input.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, input.ndim)
    if input.shape.count(0) > 1:
        raise RuntimeError("Number of zero sized dimensions is more than one, so unique cannot be applied ")
    if input.size == 0 and input.shape[dim] != 0:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    moved = np.moveaxis(input, dim, 0)
    return moved.reshape(len(moved), -1 if input.size else 0), moved.shape[1:], dim


def isin(elements, test_elements, assume_unique=False, invert=False):
    """Whether each of `elements` is among `test_elements` (or is not, if `invert`)."""
    elements, tests = np.asarray(elements), np.asarray(test_elements)
    for array in (elements, tests):
        if array.dtype.kind in "bc":
            raise RuntimeError(f"Unsupported input type encountered for isin(): {scalar_name(array)}")
    return np.isin(_sortable(elements), _sortable(tests), assume_unique=assume_unique, invert=invert)


# --------------------------------------------------------------------------------------------------------------------
# Bins
# --------------------------------------------------------------------------------------------------------------------


def searchsorted(sorted_sequence, values, out_int32=False, right=False, side=None, sorter=None):
    """Where to insert `values` so that the sequence stays sorted.

    Args:
        sorted_sequence: (n,), or (..., n) rising along the last dimension.
        values: any shape if the sequence is a vector, else (..., m) with the same leading dimensions.
        out_int32: return int32 instead of int64.
        right: the last suitable place instead of the first; ``side="right"`` says the same.
        sorter: int64 of the shape of the sequence, the indices that sort it.

    Returns:
        Places in [0, n], of the shape of `values`. NaN belongs behind everything.
    """
    values = np.asarray(values)
    _check_search(sorted_sequence, values, right, side, sorter)
    right = right or side == "right"
    keys = _sortable(sorted_sequence)
    if sorter is not None:
        keys = along(keys, sorter, -1)
    wanted = _sortable(values)
    common = np.result_type(keys, wanted)
    keys, wanted = keys.astype(common, copy=False), wanted.astype(common, copy=False)
    if keys.ndim == 1 and not (common.kind == "f" and np.isnan(keys).any()):
        places = np.searchsorted(keys, wanted, side="right" if right else "left")
    else:
        places = _bisect(keys, wanted, right)
    return np.asarray(places, np.int32 if out_int32 else np.int64)


def _check_search(sequence, values, right, side, sorter):
    name = "torch.searchsorted()"
    if values.dtype == sequence.dtype and values.size:
        for kind in "bc":
            _refuse(sequence, kind, NotImplementedError('"searchsorted_out_cpu" not implemented for this dtype'))
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name}: side and right can't be set to opposites, got side of left while right was True")
    if sequence.ndim == 0:
        raise RuntimeError(f"{name}: input boundaries should have positive dimension, but got 0 dimension")
    if values.ndim == 0 and sequence.ndim != 1:
        raise RuntimeError(
            f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries "
            f"tensor dim({sequence.ndim}) and input value's dim(0) numel(1)"
        )
    if sequence.ndim != 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(sequence.shape)} and "
            f"input value tensor {list(values.shape)}"
        )
    if sorter is not None:
        if sorter.shape != sequence.shape:
            raise RuntimeError(
                f"{name}: boundary and sorter must have the same size, but got boundary tensor {list(sequence.shape)} "
                f"and got sorter tensor {list(sorter.shape)}"
            )
        if sorter.dtype != np.int64:
            raise RuntimeError(f"{name}: sorter must be a tensor of long dtype but got dtype {sorter.dtype}")
        if sorter.size and (sorter.min() < 0 or sorter.max() >= sequence.shape[-1]):
            raise RuntimeError(f"{name}: sorter index out of range")


def _bisect(keys, wanted, right):
    """Bisection of all values at once; comparisons with NaN come out as PyTorch's loop has them."""
    low = np.zeros(wanted.shape, np.int64)
    high = np.full(wanted.shape, keys.shape[-1], np.int64)
    for _ in range(int(keys.shape[-1]).bit_length()):
        middle = (low + high) // 2
        probe = np.minimum(middle, keys.shape[-1] - 1)
        found = keys[probe] if keys.ndim == 1 else along(keys, probe, -1)
        go_on = ~(found > wanted) if right else ~(found >= wanted)
        active = low < high
        low, high = np.where(active & go_on, middle + 1, low), np.where(active & ~go_on, middle, high)
    return low


def bucketize(input, boundaries, out_int32=False, right=False):
    """The bin of each element of `input` among rising `boundaries` (n,): :func:`searchsorted` the other way round."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2, ... occurs in a vector of integers; or the sum of the weights where it occurs.

    Returns:
        int64, or with `weights` their dtype if float32 or float64, else float64; at least `minlength` long.
    """
    if input.dtype.kind not in "iu" or input.dtype in (np.uint16, np.uint32, np.uint64):
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{scalar_name(input)}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if input.ndim == 1 and input.size == 0:
        return np.zeros(minlength, np.int64)
    if input.ndim != 1 or input.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return np.bincount(input, minlength=minlength)
    if weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    dtype = np.dtype(np.float32 if weights.dtype == np.float32 else np.float64)
    out = np.zeros(max(minlength, int(input.max()) + 1), dtype)
    np.add.at(out, input, weights.astype(dtype, copy=False))
    return out


def _floating(input, name):
    if input.dtype.kind in "biuc":
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')


def _outer_edges(input, low, high, name):
    """The outer bin edges: the data's own if none are given, moved apart if they coincide."""
    if low == high and input.size:
        low, high = float(input.min()), float(input.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    return low, high


def histc(input, bins=100, min=0, max=0):
    """Counts of the elements of `input` in `bins` bins of equal width between `min` and `max`.

    Args:
        input: float.
        bins: how many.
        min, max: the outer edges; if equal, those of the data. Elements outside are not counted.

    Returns:
        (bins,) of the dtype of `input`.
    """
    _floating(input, "histogram_cpu")
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    if max < min:
        raise RuntimeError("torch.histc: max must be larger than min")
    low, high = _outer_edges(input, min, max, "torch.histc")
    if low == high:
        low, high = low - 1, high + 1
    flat = input.reshape(-1)
    return _count(flat, _edges(low, high, bins, input.dtype))


def _edges(low, high, bins, dtype):
    """Equally spaced edges, counted from the nearer end as PyTorch's linspace counts them."""
    work = dtype if dtype.kind == "f" and dtype.itemsize >= 4 else np.dtype(np.float32)
    low, high = work.type(low), work.type(high)
    step, k = (high - low) / work.type(bins), np.arange(bins + 1)
    return np.where(k < (bins + 1) // 2, low + step * k.astype(work), high - step * (bins - k).astype(work)).astype(
        dtype
    )


def _count(flat, edges):
    """How many elements fall in each of the equal bins; the last bin is closed above."""
    bins = len(edges) - 1
    values, edge = _sortable(flat), _sortable(edges)
    values = values[(values >= edge[0]) & (values <= edge[-1])]
    places = ((values - edge[0]) * (values.dtype.type(bins) / (edge[-1] - edge[0]))).astype(np.int64)
    return np.bincount(np.minimum(places, bins - 1), minlength=bins).astype(flat.dtype)


def histogram(input, bins, range=None, weight=None, density=False):
    """Counts, or sums of weights, of the elements of `input` in bins.

    Args:
        input: float, any shape.
        bins: a number of bins of equal width, or a vector of rising edges.
        range: (low, high), the outer edges if `bins` is a number; None for those of the data.
        weight: what each element counts, of the shape of `input`.
        density: divide by the total and by the bins' widths, so that the histogram integrates to one.

    Returns:
        (hist, bin_edges).
    """
    hist, edges = histogramdd(
        input.reshape(-1, 1), [bins], range, None if weight is None else weight.reshape(-1), density
    )
    return hist, edges[0]


def histogramdd(input, bins, range=None, weight=None, density=False):
    """As :func:`histogram`, for points of several coordinates.

    Args:
        input: (..., d).
        bins: d numbers of bins, or d vectors of rising edges, or one number for all.
        range: 2 d numbers, low and high for each coordinate.
        weight: what each point counts, of shape (...).
        density: divide by the total and by the bins' volumes.

    Returns:
        (hist, edges): the d-dimensional histogram and a list of d vectors.
    """
    _floating(input, "histogramdd")
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    points = input.reshape(-1, input.shape[-1])
    one_for_all = not isinstance(bins, (list, tuple)) and np.ndim(bins) == 0
    bins = [bins] * points.shape[1] if one_for_all else bins
    if len(bins) != points.shape[1]:
        raise RuntimeError(
            f"torch.histogramdd: expected {points.shape[1]} sequences of bin edges for a "
            f"{points.shape[1]}-dimensional histogram but got {len(bins)}"
        )
    edges = _all_edges(points, bins, range)
    places, inside = [], np.ones(len(points), bool)
    for column, edge, wanted in zip(_sortable(points).T, map(_sortable, edges), bins, strict=True):
        inside &= (column >= edge[0]) & (column <= edge[-1])
        places.append(_bin(column, edge) if np.ndim(wanted) else _equal_bin(column, edge))
    shape = tuple(len(edge) - 1 for edge in edges)
    flat = np.ravel_multi_index([place[inside] for place in places], shape)
    weights = None if weight is None else _sortable(weight.reshape(-1))[inside].astype(np.float64)
    hist = np.bincount(flat, weights=weights, minlength=int(np.prod(shape))).reshape(shape).astype(input.dtype)
    return (_density(hist, edges) if density else hist), edges


def _bin(column, edge):
    """The bin of each element among rising edges; those outside get the first or the last."""
    return np.clip(np.searchsorted(edge, column, side="right") - 1, 0, len(edge) - 2)


def _equal_bin(column, edge):
    """`_bin` for bins of equal width: computed, then put right by the edges, which rounding may have moved by one."""
    last = len(edge) - 2
    span = edge[-1] - edge[0]
    if not column.size or not span > 0:
        return _bin(column, edge)
    place = (column - edge[0]) * (edge.dtype.type(last + 1) / span)
    place = np.clip(np.nan_to_num(place), 0, last).astype(np.intp)
    place -= column < edge[place]
    place += column >= edge[place + 1]
    return np.clip(place, 0, last)


def _all_edges(points, bins, range):
    edges = []
    for k, (column, wanted) in enumerate(zip(points.T, bins, strict=True)):
        if np.ndim(wanted):
            edges.append(np.asarray(wanted))
            continue
        if wanted <= 0:
            raise RuntimeError(f"torch.histogramdd(): bins must be > 0, but got {wanted} for dimension {k}")
        if range is None:
            low, high = (float(column.min()), float(column.max())) if len(column) else (0.0, 1.0)
        else:
            low, high = range[2 * k], range[2 * k + 1]
        if not (np.isfinite(low) and np.isfinite(high)):
            raise RuntimeError(f"torch.histogramdd(): dimension {k}'s range [{low}, {high}] is not finite")
        if low > high:
            raise RuntimeError("torch.histogramdd(): min should not exceed max")
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges.append(_edges(low, high, wanted, points.dtype))
    return edges


def _density(hist, edges):
    hist = hist / hist.sum()
    for k, edge in enumerate(edges):
        hist = hist / np.diff(edge).reshape(-1, *(1,) * (hist.ndim - 1 - k))
    return hist.astype(edges[0].dtype)
