"""Sorting, selection by rank, distinct values and bins on tensors, each beside its derivative.

What picks elements along a dimension returns their indices too, and its derivative sends what arrives back to them: one
formula (`picked`) for sort, topk, kthvalue, median, mode and the running extremes. Questions of order alone (argsort,
searchsorted, bincount, ...) have no derivative.
"""

import numpy as np

from wengert.autograd.graph import rare
from wengert.dtypes import bool_, int32, int64, of_scalar
from wengert.kernels import sorting as kernels
from wengert.ops.declare import choice, composite, convert, primitive, result_type
from wengert.ops.emit import NUMBERS
from wengert.ops.indexing import exact_out, gather_backward, no_derivative
from wengert.ops.pointwise import select as choose
from wengert.ops.reductions import sum as sum_all
from wengert.ops.shape import reshape_to
from wengert.tensor import Tensor, wrap

INNER = {"function": False, "method": False}


def picked(g, indices, shape, dim, keepdim=True):
    """The gradient goes to the elements that were picked; of one picked twice, both shares."""
    if not keepdim and shape:
        with_dim = tuple(1 if d == dim % len(shape) else size for d, size in enumerate(shape))
        g, indices = reshape_to(g, with_dim), reshape_to(indices, with_dim)
    return gather_backward(g, shape, dim, indices)


PICKING = {"outputs": ("values", "indices"), "nodiff_outputs": ("indices",), "tensors": ("input",)}


# --- sorting ----------------------------------------------------------------------------------------------------------


def _sort(input, dim=-1, descending=False):
    return kernels.sort(input, dim, descending=bool(descending))


def _argsort(input, dim=-1, descending=False, stable=False):
    return kernels.argsort(input, dim, bool(descending))


def _topk(input, k, dim=-1, largest=True, sorted=True):
    return kernels.topk(input, int(k), dim, bool(largest), sorted)


sort_op = primitive(
    "sort", _sort, **PICKING, **INNER, input=lambda g, indices, input_shape, dim: picked(g, indices, input_shape, dim),
)  # fmt: skip
stable_sort = primitive(
    "sort", _sort, **PICKING, **INNER, node="SortBackward1",
    input=lambda g, indices, input_shape, dim: picked(g, indices, input_shape, dim),
)  # fmt: skip
sort_op.result_type = stable_sort.result_type  # one class under the one name


def _choose_sort(input, dim=-1, descending=False, *, stable=None):
    """`input` sorted along `dim`, and the indices that sort it; NaN is the greatest number, ties stay in order."""
    return (sort_op if stable is None else stable_sort), (input, dim, descending)


sort = choice("sort", _choose_sort, inplace=False)
argsort = primitive("argsort", _argsort, tensors=("input",))
topk = primitive(
    "topk", _topk, **PICKING, input=lambda g, indices, input_shape, dim: picked(g, indices, input_shape, dim),
)  # fmt: skip


@composite
def msort(input):
    """`input` sorted along its first dimension."""
    return in_order(input, 0)


def in_order(input, dim):
    """`input` sorted along `dim`: without the indices, in a fifth of the time, where no gradient will ask for them."""
    if type(input) is not Tensor or input.requires_grad or rare.active:
        return sort_op(input, dim)[0]
    return wrap(kernels.sorted_values(input._array, dim), input.dtype)


def with_ranks(input, *ranks):
    """`input` with the elements of these ranks in their places along the last dimension, and the smaller ones before
    them; NaN is greater than any number. A few ranks of many elements are found without sorting all of these.
    """
    if input.shape[-1] < 1 << 14 or type(input) is not Tensor or input.requires_grad or rare.active:
        return in_order(input, -1)
    wanted = np.unique(np.concatenate([rank.ravel() for rank in ranks]))
    return wrap(np.partition(input._array, wanted, -1), input.dtype) if len(wanted) <= 8 else in_order(input, -1)


# --- selection by rank ------------------------------------------------------------------------------------------------


def _kthvalue(input, k, dim=-1, keepdim=False):
    if input.ndim == 0 and k == 1:  # whatever its dtype
        return kernels.sort(input, dim)
    return kernels.kthvalue(input, dim, k=int(k), keepdim=keepdim)


def _mode(input, dim=-1, keepdim=False):
    return kernels.mode(input, dim, keepdim=keepdim)


def _cummax(input, dim):
    return kernels.cummax(input, dim)


def _cummin(input, dim):
    return kernels.cummin(input, dim)


kthvalue = primitive(
    "kthvalue", _kthvalue, **PICKING,
    input=lambda g, indices, input_shape, dim, keepdim: picked(g, indices, input_shape, dim, keepdim),
)  # fmt: skip
mode = primitive(
    "mode", _mode, **PICKING,
    input=lambda g, indices, input_shape, dim, keepdim: picked(g, indices, input_shape, dim, keepdim),
)  # fmt: skip
cummax = primitive(
    "cummax", _cummax, **PICKING, input=lambda g, indices, input_shape, dim: picked(g, indices, input_shape, dim),
)  # fmt: skip
cummin = primitive(
    "cummin", _cummin, **PICKING, input=lambda g, indices, input_shape, dim: picked(g, indices, input_shape, dim),
)  # fmt: skip


def _median(input, dim, keepdim=False):
    return kernels.median(input, dim, keepdim=keepdim)


def _nanmedian(input, dim, keepdim=False):
    return kernels.nanmedian(input, dim, keepdim=keepdim)


def shared_equally(g, input, out):
    """Among all elements equal to the result (NaN equals NaN here)."""
    equal = (input == out) | ((input != input) & (out != out))
    return choose(equal, g / sum_all(equal), 0)


median_of_all = primitive(
    "median", lambda input: kernels.median_of_all(input), **INNER,
    input=lambda g, input, out: shared_equally(g, input, out),
)  # fmt: skip
nanmedian_of_all = primitive(
    "nanmedian", lambda input: kernels.median_of_all(input, ignore_nan=True), **INNER,
    input=lambda g, input, out: shared_equally(g, input, out),
)  # fmt: skip
median_along = primitive(
    "median", _median, **PICKING, **INNER, node="MedianBackward1",
    input=lambda g, indices, input_shape, dim, keepdim: picked(g, indices, input_shape, dim, keepdim),
)  # fmt: skip
nanmedian_along = primitive(
    "nanmedian", _nanmedian, **PICKING, **INNER, node="NanmedianBackward1",
    input=lambda g, indices, input_shape, dim, keepdim: picked(g, indices, input_shape, dim, keepdim),
)  # fmt: skip


def _median_of(of_all, along, doc):
    def pick(input, dim=None, keepdim=False):
        return (of_all, (input,)) if dim is None else (along, (input, dim, keepdim))

    pick.__doc__ = doc
    return pick


median = choice("median", _median_of(
    median_of_all, median_along,
    "The lower median of all elements, or along `dim` with its indices; NaN if there is one.",
), inplace=False)  # fmt: skip
nanmedian = choice("nanmedian", _median_of(
    nanmedian_of_all, nanmedian_along,
    "The lower median of what is not NaN: of all elements, or along `dim` with its indices.",
), inplace=False)  # fmt: skip


# --- distinct values --------------------------------------------------------------------------------------------------


def distinct(name, find):
    """An operation that is recorded, since its values come from the input, and refused in backward, as in PyTorch."""
    return primitive(
        name, lambda input, dim: find(input, dim=dim)[0], node=f"{name}Backward0", **INNER,
        input=lambda g: no_derivative(name),
    )  # fmt: skip


unique_of_all = distinct("Unique2", kernels.unique)
unique_along = distinct("UniqueDim", kernels.unique)
unique_in_row = distinct("UniqueConsecutive", kernels.unique_consecutive)


def extras(find, values, input, return_inverse, return_counts, dim):
    """`values`, or a tuple of it with the inverse and the counts, as far as asked for."""
    if not (return_inverse or return_counts):
        return values
    _, inverse, counts = find(input._array, return_inverse, return_counts, dim)
    return (values, *(wrap(part) for part in (inverse, counts) if part is not None))


@composite
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements, rising; or the distinct slices along `dim`.

    Args:
        input: any real dtype.
        sorted: has no effect, the result is always sorted (so is PyTorch's on a CPU).
        return_inverse: also return where in the result each element went.
        return_counts: also return how often each occurs.
        dim: None for single elements.
    """
    values = (unique_of_all if dim is None else unique_along)(input, dim)
    return extras(kernels.unique, values, input, return_inverse, return_counts, dim)


@composite
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """`input` without the elements (or slices along `dim`) that equal their predecessor; returns as :func:`unique`."""
    values = unique_in_row(input, dim)
    return extras(kernels.unique_consecutive, values, input, return_inverse, return_counts, dim)


# --- questions and bins, which have no derivative ---------------------------------------------------------------------

find_places = primitive(
    "searchsorted",
    lambda sorted_sequence, input, sorter, out_int32, right, side: kernels.searchsorted(
        sorted_sequence, input, out_int32, right, side, sorter
    ),
    tensors=("sorted_sequence", "input"), **INNER,
)  # fmt: skip


@composite(method=False)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where to insert `input` (a tensor or a number) so that `sorted_sequence` stays sorted along its last dimension.

    Args:
        sorted_sequence: (n,), or (..., n).
        input: any shape for a vector of boundaries, else (..., m) with the same leading dimensions.
        out_int32: int32 instead of int64.
        right: after equal elements rather than before them; ``side="right"`` says the same.
        sorter: int64, the indices that sort `sorted_sequence`.
    """
    if not isinstance(input, Tensor):
        input = convert(input, of_scalar(input))
    order = None if sorter is None else sorter._array
    return find_places(sorted_sequence, input, order, out_int32, right, side)


@composite(method=False)
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The bin of each element of `input` (a tensor or a number) among rising `boundaries` (n,)."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@composite(method=False)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each of `elements` is among `test_elements` (or is not); one of the two may be a number."""
    if isinstance(elements, NUMBERS) and isinstance(test_elements, NUMBERS):
        raise TypeError("isin(): elements and test_elements cannot both be numbers")
    arrays = [value._array if isinstance(value, Tensor) else value for value in (elements, test_elements)]
    return wrap(kernels.isin(*arrays, assume_unique, invert), bool_)


count_bins = primitive(
    "bincount", lambda input, minlength: kernels.bincount(input, None, minlength), tensors=("input",), **INNER,
)  # fmt: skip
weigh_bins = primitive(
    "bincount", lambda input, weights, minlength: kernels.bincount(input, weights, minlength),
    tensors=("input", "weights"), node="NotImplemented", **INNER, weights=lambda g: no_derivative("aten::bincount"),
)  # fmt: skip


def _bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2, ... occurs in a vector of integers; or the sum of the weights where it occurs."""
    if weights is None:
        return count_bins, (input, minlength)
    return weigh_bins, (input, weights, minlength)


bincount = choice("bincount", _bincount, inplace=False)
histc = primitive("histc", kernels.histc, tensors=("input",))


HistogramResult = result_type("histogram", ("hist", "bin_edges"))
HistogramddResult = result_type("histogramdd", ("hist", "bin_edges"))


@composite
def histogram(input, bins, *, range=None, weight=None, density=False):
    """Counts (or sums of weights) of the elements of `input` in bins: (hist, bin_edges).

    Args:
        input: float, any shape.
        bins: a number of bins of equal width, or a vector of rising edges.
        range: (low, high) if `bins` is a number; None for the extremes of the data.
        weight: what each element counts, of the shape of `input`.
        density: divide by the total and by the bins' widths.
    """
    hist, edges = kernels.histogram(input._array, *_plain(bins, range, weight), density)
    return HistogramResult(wrap(hist), wrap(edges))


@composite(method=False)
def histogramdd(input, bins, *, range=None, weight=None, density=False):
    """As :func:`histogram` for points of d coordinates, `input` (..., d): hist of d dimensions, d vectors of edges."""
    if isinstance(bins, (list, tuple)):
        bins = [b._array if isinstance(b, Tensor) else b for b in bins]
    hist, edges = kernels.histogramdd(input._array, *_plain(bins, range, weight), density)
    return HistogramddResult(wrap(hist), tuple(wrap(edge) for edge in edges))


def _plain(bins, range, weight):
    return (
        bins._array if isinstance(bins, Tensor) else bins,
        None if range is None else tuple(range),
        None if weight is None else weight._array,
    )


exact_out(kthvalue, "input", int64, apart=True)
for _operation in (sort_op, stable_sort, topk, mode, median_along, nanmedian_along, cummax, cummin):
    exact_out(_operation, "input", int64)
for _operation in (msort, histc):
    exact_out(_operation, "input")
exact_out(histogram, "input", "input")
exact_out(isin, bool_)
for _operation in (searchsorted, bucketize):
    exact_out(_operation, lambda values: int32 if values["out_int32"] else int64)
