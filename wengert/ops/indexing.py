"""Indexing on tensors: the bracket, gather and scatter, slices by index, masks, embeddings, each beside its derivative.

Reading and writing are adjoint: the derivative of a read adds what arrives to the places that were read, the derivative
of a write reads them. So most declarations here come in pairs that are each other's derivative, and second derivatives
need no thought.

The bracket of PyTorch is a chain of views, one node for each int, slice and None, and then one `index` for all index
tensors together. Where nothing is recorded the chain is one NumPy view.
"""

import operator
import sys

import numpy as np

from wengert.autograd import graph, views
from wengert.autograd.graph import FREED, Node, grad_mode, next_seq, rare
from wengert.dtypes import SCALAR_NAMES, TENSOR_TYPE_NAMES, bool_, int32, int64, uint8
from wengert.errors import explain
from wengert.kernels import indexing as kernels
from wengert.kernels import overlap
from wengert.kernels import shape as shape_kernels
from wengert.kernels.fitting import FLOAT32_MAX, fitting, overflow
from wengert.kernels.overlap import repeats
from wengert.ops.declare import Operation, choice, composite, forward_mode, observed, overriding, primitive
from wengert.ops.pointwise import select as choose
from wengert.ops.pointwise import zeros_of
from wengert.ops.reductions import sum as sum_all
from wengert.ops.shape import (
    alias_op,
    as_view_of,
    diagonal,
    expand_op,
    gather_positions,
    pad_select,
    reshape_to,
    select,
    slice_along,
    sum_to,
    unsqueeze,
)
from wengert.tensor import Parameter, Tensor, new, wrap

INNER = {"function": False, "method": False}


def no_derivative(name):
    """Stands where PyTorch has an operation without a derivative: recorded, and refused in backward."""
    raise NotImplementedError(f"the derivative for '{name}' is not implemented.")


def writing(operation, in_place, overlap="sharing"):
    """Give `operation` a kernel that writes into its first argument, for its in-place form; `overlap` says which memory
    of other arguments it refuses to write into, None that it has read them before.
    """
    operation.kernel_inplace = lambda: in_place
    operation.overlap = overlap
    return operation


def refuse_overlap(target, values):
    """Raise RuntimeError if `target` overlaps itself or one of the tensors that are read while it is written."""
    if repeats(target._array):
        raise RuntimeError(views.REPEATED)
    views.refuse_sharing(target, *(value for value in values if isinstance(value, Tensor)))


def exact_out(operation, *kinds, apart=False, sentence=None):
    """Let `out=` of `operation` take tensors of exactly these dtypes: an argument's, a given one, or a function's
    of the arguments; `apart` from the memory that is read."""
    write_any = operation.write
    sentence = (
        sentence or f"{operation.name}(): Expected out tensor to have dtype {{0.name}}, but got {{1.name}} instead"
    )

    def write(out, values):
        targets = out if isinstance(out, (tuple, list)) else (out,)
        for target, kind in zip(targets, kinds, strict=False):
            if apart and isinstance(target, Tensor):
                refuse_overlap(target, values.values())
            wanted = values[kind].dtype if isinstance(kind, str) else kind(values) if callable(kind) else kind
            if isinstance(target, Tensor) and target.dtype is not wanted:
                raise RuntimeError(sentence.format(wanted, target.dtype, SCALAR_NAMES[target.dtype]))
        return write_any(out, values)

    operation.write = write
    return operation


# --- an index per element: gather and scatter -------------------------------------------------------------------------


def _gather(input, dim, index, *, sparse_grad=False):
    if sparse_grad:
        raise NotImplementedError("gather(): sparse_grad=True is not supported, gradients are dense")
    return kernels.gather(input, dim, index)


gather = primitive(
    "gather", _gather, tensors=("input", "index"),
    input=lambda g, input_shape, dim, index: gather_backward(g, input_shape, dim, index),
)  # fmt: skip
gather_backward = primitive(
    "gather_backward",
    lambda input, shape, dim, index: kernels.scatter_add_(np.zeros(shape, input.dtype), dim, index, input),
    tensors=("input", "index"), **INNER,
    input=lambda g, dim, index: gather(g, dim, index),
)  # fmt: skip


def _corner(input, shape):
    return input[(*map(slice, shape), ...)]


def _pad_corner(input, shape):
    out = np.zeros(shape, input.dtype)
    _corner(out, input.shape)[...] = input
    return out


# The first elements along each dimension, for a `src` that is larger than the `index` of a scatter.
corner = primitive("slice", _corner, view=True, **INNER, input=lambda g, input_shape: pad_corner(g, input_shape))
pad_corner = primitive("slice_backward", _pad_corner, **INNER, input=lambda g, input_shape: corner(g, input_shape))


def scattered(g, dim, index, shape):
    """The gradient of the `src` of a scatter: what arrived where it was written to."""
    g = gather(g, dim, index)
    return g if tuple(g.shape) == tuple(shape) else pad_corner(reshape_to(g, index.shape), shape)


scatter_src = primitive(
    "scatter", lambda input, dim, index, src: kernels.scatter(input, dim, index, src),
    tensors=("input", "index", "src"), **INNER,
    input=lambda g, dim, index: scatter_value(g, dim, index, 0),
    src=lambda g, dim, index, src_shape: scattered(g, dim, index, src_shape),
)  # fmt: skip
scatter_value = primitive(
    "scatter", lambda input, dim, index, value: kernels.scatter(input, dim, index, fitting(value, input.dtype)),
    tensors=("input", "index"), node="ScatterBackward1", **INNER,
    input=lambda g, dim, index: scatter_value(g, dim, index, 0),
)  # fmt: skip
scatter_src_reduced = primitive(
    "scatter", lambda input, dim, index, src, reduce: kernels.scatter(input, dim, index, src, reduce),
    tensors=("input", "index", "src"), node="NotImplemented", **INNER,
    input=lambda g: no_derivative("aten::scatter"), src=lambda g: no_derivative("aten::scatter"),
)  # fmt: skip
scatter_value_reduced = primitive(
    "scatter", lambda input, dim, index, value, reduce: kernels.scatter(input, dim, index, value, reduce),
    tensors=("input", "index"), node="NotImplemented", **INNER, input=lambda g: no_derivative("aten::scatter"),
)  # fmt: skip
writing(scatter_src, kernels.scatter_)
writing(
    scatter_value,
    lambda input, dim, index, value: kernels.scatter_(input, dim, index, fitting(value, input.dtype)),
)
writing(scatter_src_reduced, kernels.scatter_)
writing(scatter_value_reduced, kernels.scatter_)


def _scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """`input` with elements of `src` (or a number) written to the places `index` along `dim`.

    Args:
        input: any shape.
        dim: the dimension along which `index` chooses.
        index: int64 or int32, as many dimensions as `input`.
        src: a tensor of `input`'s dtype, nowhere shorter than `index`, or a number (also as `value`).
        reduce: None to replace, "add" or "multiply" to combine (without a derivative).
    """
    given = value if src is None else src
    if given is None:
        raise TypeError("scatter() missing 1 required positional argument: 'src'")
    if isinstance(given, Tensor):
        return (scatter_src, (input, dim, index, given)) if reduce is None else (
            scatter_src_reduced, (input, dim, index, given, reduce))  # fmt: skip
    return (scatter_value, (input, dim, index, given)) if reduce is None else (
        scatter_value_reduced, (input, dim, index, given, reduce))  # fmt: skip


scatter = choice("scatter", _scatter)
scatter_add = primitive(
    "scatter_add", kernels.scatter_add, tensors=("input", "index", "src"), inplace=True,
    input=lambda g: g, src=lambda g, dim, index, src_shape: scattered(g, dim, index, src_shape),
)  # fmt: skip
writing(scatter_add, kernels.scatter_add_)


def _scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    return kernels.scatter_reduce(input, dim, index, src, reduce, include_self)


scatter_reduce = primitive(
    "scatter_reduce", _scatter_reduce, inplace=True, tensors=("input", "index", "src"), joint_of=("input", "src"),
    joint=lambda g, input, src, out, dim, index, reduce, include_self: scatter_reduce_gradients(
        g, input, src, out, dim, index, reduce, include_self
    ),
)  # fmt: skip
writing(scatter_reduce, kernels.scatter_reduce_)


def scatter_reduce_gradients(g, input, src, out, dim, index, reduce, include_self):
    shape = src.shape
    src = corner(src, index.shape)
    d_input, d_src = combining_gradients(
        g, input, src, out, reduce, include_self,
        read=lambda x: gather(x, dim, index),
        add=lambda x, y: scatter_add(x, dim, index, y),
        clear=lambda x: scatter_value(x, dim, index, 0),
        again=lambda x, y: scatter_reduce(x, dim, index, y, reduce, include_self=include_self),
    )  # fmt: skip
    return d_input, pad_corner(d_src, shape)


def combining_gradients(g, input, src, out, reduce, include_self, *, read, add, clear, again):
    """The gradients of `input` and `src`, of which elements were combined into `out`.

    `read` takes a value of the shape of `out` to where `src` was put, `add` adds one of the shape of `src` there,
    `clear` sets the places that were written to 0, `again` is the operation itself on other operands.
    """
    if reduce == "sum":
        d_input, d_src = g, read(g)
    elif reduce == "mean":
        counts = add(zeros_of(g) + int(include_self), zeros_of(src) + 1)
        d_input = g / (counts if include_self else choose(counts == 0, 1, counts))
        d_src = read(d_input)
    elif reduce == "prod":
        safe = choose(input == 0, 1, input)
        d_input = g * again(safe, src) / safe
        # A factor that is the only zero among those of its product gets the product of the others.
        zero = src == 0
        alone = zero & (read(add(zeros_of(input), zeros_of(src) + zero)) == 1)
        others = again(input, choose(alone, 1, src))
        d_src = choose(alone, read(g * others), read(g * out) / choose(zero, 1, src))
    else:  # amax, amin: shared equally among those that attain it
        ours, theirs = input == out, src == read(out)
        share = g / add(zeros_of(g) + ours, zeros_of(src) + theirs)
        d_input, d_src = share * ours, read(share) * theirs
    return (d_input if include_self else clear(d_input)), d_src


# --- an index per slice -----------------------------------------------------------------------------------------------

index_select = primitive(
    "index_select", kernels.index_select, tensors=("input", "index"),
    input=lambda g, input_shape, dim, index: index_select_backward(g, input_shape, dim, index),
)  # fmt: skip


def _index_select_backward(input, shape, dim, index):
    index = index.reshape(-1)
    source = input if shape else input.reshape(1)
    out = kernels.index_add_(np.zeros(shape or (1,), input.dtype), dim, index, source)
    return out.reshape(shape)


index_select_backward = primitive(
    "index_select_backward", _index_select_backward, tensors=("input", "index"), **INNER,
    input=lambda g, dim, index: index_select(g, dim, index),
)  # fmt: skip


def _index_add(input, dim, index, source, *, alpha=1):
    return kernels.index_add(input, dim, index, source, alpha)


index_add = primitive(
    "index_add", _index_add, tensors=("input", "index", "source"), inplace=True,
    input=lambda g: g,
    source=lambda g, dim, index, source_shape, alpha: reshape_to(index_select(g, dim, index), source_shape) * alpha,
)  # fmt: skip
writing(index_add, kernels.index_add_)
index_copy = primitive(
    "index_copy", kernels.index_copy, tensors=("input", "index", "source"), inplace=True,
    input=lambda g, dim, index: fill_slices(g, dim, index, 0),
    source=lambda g, dim, index, source_shape: from_slices(g, dim, index, source_shape),
)  # fmt: skip
writing(index_copy, kernels.index_copy_)


def from_slices(g, dim, index, shape):
    """What arrived at the slices `index`, in the shape of what was copied there; of repeats the last was kept."""
    return reshape_to(last_of_repeats(index_select(g, dim, index), index, dim), shape)


def last_of_repeats(g, index, dim):
    """Rows whose index does not come again, the others 0: what was overwritten has no gradient."""
    array = index._array if isinstance(index, Tensor) else index
    flat = array.reshape(-1)
    if flat.size < 2:
        return g
    last = np.zeros(flat.size, bool)
    last[flat.size - 1 - np.unique(flat[::-1], return_index=True)[1]] = True
    if last.all():
        return g
    overwritten = np.flatnonzero(~last)
    return fill_slices(g, dim, wrap(overwritten) if isinstance(index, Tensor) else overwritten, 0)


fill_slices = primitive(
    "index_fill", lambda input, dim, index, value: kernels.index_fill(input, dim, index, fitting(value, input.dtype)),
    tensors=("input", "index"), **INNER,
    input=lambda g, dim, index: fill_slices(g, dim, index, 0),
)  # fmt: skip
fill_slices_with_tensor = primitive(
    "index_fill", lambda input, dim, index, value: kernels.index_fill(input, dim, index, value),
    tensors=("input", "index", "value"), node="IndexFillBackward1", **INNER,
    input=lambda g, dim, index: fill_slices(g, dim, index, 0),
    value=lambda g, dim, index: sum_all(g - fill_slices(g, dim, index, 0)),
)  # fmt: skip
writing(
    fill_slices,
    lambda input, dim, index, value: kernels.index_fill_(input, dim, index, fitting(value, input.dtype)),
)
writing(fill_slices_with_tensor, kernels.index_fill_, overlap=None)


def _index_fill(input, dim, index, value):
    """`input` with the slices `index` (int64) along `dim` filled with `value`, a number or a 0-d tensor."""
    chosen = fill_slices_with_tensor if isinstance(value, Tensor) else fill_slices
    return chosen, (input, dim, index, value)


index_fill = choice("index_fill", _index_fill)


def _index_reduce(input, dim, index, source, reduce, *, include_self=True):
    return kernels.index_reduce(input, dim, index, source, reduce, include_self)


index_reduce = primitive(
    "index_reduce", _index_reduce, inplace=True, tensors=("input", "index", "source"), joint_of=("input", "source"),
    joint=lambda g, input, source, out, dim, index, reduce, include_self: index_reduce_gradients(
        g, input, source, out, dim, index, reduce, include_self
    ),
)  # fmt: skip
writing(index_reduce, kernels.index_reduce_)


def index_reduce_gradients(g, input, source, out, dim, index, reduce, include_self):
    shape = source.shape
    return combining_gradients(
        g, input, source, out, reduce, include_self,
        read=lambda x: reshape_to(index_select(x, dim, index), shape),
        add=lambda x, y: index_add(x, dim, index, y),
        clear=lambda x: fill_slices(x, dim, index, 0),
        again=lambda x, y: index_reduce(x, dim, index, y, reduce, include_self=include_self),
    )  # fmt: skip


# --- the tensor as one vector -----------------------------------------------------------------------------------------

take = primitive(
    "take", kernels.take, tensors=("input", "index"),
    input=lambda g, input_shape, index: take_backward(g, input_shape, index),
)  # fmt: skip
take_backward = primitive(
    "take_backward",
    lambda input, shape, index: kernels.put_elements_(np.zeros(shape, input.dtype), index, input, True),
    tensors=("input", "index"), **INNER, input=lambda g, index: take(g, index),
)  # fmt: skip
put = primitive(
    "put", kernels.put_elements, tensors=("input", "index", "source"), inplace=True,
    input=lambda g, index, source, accumulate: g if accumulate else put(g, index, zeros_of(source), False),
    source=lambda g, index, source_shape: reshape_to(take(g, index), source_shape),
)  # fmt: skip
writing(put, kernels.put_elements_)


@composite
def take_along_dim(input, indices, dim=None):
    """:func:`gather` after broadcasting `input` and `indices` in every dimension but `dim` (both flattened if None)."""
    for name, value in (("input", input), ("indices", indices)):
        if not isinstance(value, Tensor):
            raise TypeError(f"take_along_dim(): argument '{name}' must be Tensor, not {type(value).__name__}")
    if indices._array.dtype != np.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {SCALAR_NAMES[indices.dtype]}"
        )
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    source, index, dim = kernels.along_operands(input._array, indices._array, dim)
    return gather(expand_op(input, source.shape), dim, wrap(kernels.from_the_front(index, source.shape[dim])))


# --- masks ------------------------------------------------------------------------------------------------------------

mask_with_number = primitive(
    "masked_fill", lambda input, mask, value: kernels.masked_fill(input, mask, fitting(value, input.dtype)),
    tensors=("input", "mask"), **INNER,
    input=lambda g, mask, input_shape: sum_to(mask_with_number(g, mask, 0), input_shape),
)  # fmt: skip
mask_with_tensor = primitive(
    "masked_fill", lambda input, mask, value: kernels.masked_fill(input, mask, real_enough(value, input)),
    tensors=("input", "mask", "value"), node="MaskedFillBackward1", **INNER,
    input=lambda g, mask, input_shape: sum_to(mask_with_number(g, mask, 0), input_shape),
    value=lambda g, mask: sum_all(choose(mask, g, 0)),
)  # fmt: skip
writing(mask_with_number, lambda input, mask, value: kernels.masked_fill_(input, mask, fitting(value, input.dtype)))
writing(
    mask_with_tensor, lambda input, mask, value: kernels.masked_fill_(input, mask, real_enough(value, input)),
    overlap=None,
)  # fmt: skip


def real_enough(value, input):
    """`value` (of no dimensions), refused if it has an imaginary part that `input` has no room for."""
    if value.dtype.kind == "c" and input.dtype.kind != "c":
        if value.imag != 0:
            raise overflow(input.dtype)
        return value.real
    return value


def _masked_fill(input, mask, value):
    """`input` with `value` (a number or a tensor of no dimensions) where `mask` is True; the two broadcast.

    Raises RuntimeError for a mask that is not boolean, or a number that `input`'s dtype cannot hold.
    """
    return (mask_with_tensor if isinstance(value, Tensor) else mask_with_number), (input, mask, value)


masked_fill = choice("masked_fill", _masked_fill)
masked_select = primitive(
    "masked_select", kernels.masked_select, tensors=("input", "mask"),
    input=lambda g, mask, input_shape: sum_to(
        spread_by_mask(g, mask, np.broadcast_shapes(tuple(input_shape), tuple(mask.shape))), input_shape
    ),
)  # fmt: skip
masked_scatter = primitive(
    "masked_scatter", kernels.masked_scatter, tensors=("input", "mask", "source"), inplace=True,
    input=lambda g, mask, input_shape: sum_to(mask_with_number(g, mask, 0), input_shape),
    source=lambda g, mask, source_shape: picked_by_mask(g, mask, source_shape),
)  # fmt: skip
writing(masked_scatter, kernels.masked_scatter_, overlap=None)


def _spread_by_mask(input, mask, shape):
    return kernels.masked_scatter_(np.zeros(shape, input.dtype), mask, input)


def _picked_by_mask(input, mask, shape):
    picked = kernels.masked_select(input, mask)
    out = np.zeros(shape, input.dtype)
    out.reshape(-1)[: picked.size] = picked
    return out


# Zeros with the elements of a vector where the mask is True, and back: the vector may be longer than the mask needs.
spread_by_mask = primitive(
    "masked_select_backward", _spread_by_mask, tensors=("input", "mask"), **INNER,
    input=lambda g, mask, input_shape: picked_by_mask(g, mask, input_shape),
)  # fmt: skip
picked_by_mask = primitive(
    "masked_scatter_backward", _picked_by_mask, tensors=("input", "mask"), **INNER,
    input=lambda g, mask, input_shape: spread_by_mask(g, mask, input_shape),
)  # fmt: skip
coordinates = primitive("nonzero", lambda input: kernels.nonzero(input), tensors=("input",), **INNER)


@composite
def nonzero(input, *, as_tuple=False, out=None):
    """The coordinates of the elements that are not zero: (count, ndim) int64, or a tuple of a vector per dimension."""
    if not isinstance(input, Tensor):
        raise TypeError(f"nonzero(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if as_tuple:
        if isinstance(out, Tensor):
            raise RuntimeError("nonzero does not support the out kwarg when as_tuple is True")
        if out is not None:
            raise TypeError(f"nonzero(): argument 'out' must be Tensor, not {type(out).__name__}")
        return tuple(wrap(column) for column in kernels.nonzero(input._array, as_tuple=True))
    return coordinates(input) if out is None else nonzero.write(out, {"input": input})


@composite
def argwhere(input):
    """The coordinates of the elements that are not zero, (count, ndim) int64."""
    return coordinates(input)


# --- embeddings -------------------------------------------------------------------------------------------------------


def _embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    if sparse:
        raise NotImplementedError("embedding(): sparse=True is not supported, gradients are dense")
    return kernels.embedding(weight, indices)


embedding = primitive(
    "embedding", _embedding, method=False, tensors=("weight", "indices"), out=False,
    weight=lambda g, indices, weight_shape, padding_idx, scale_grad_by_freq: embedding_backward(
        g, indices, weight_shape[0], padding_idx, scale_grad_by_freq
    ),
)  # fmt: skip
embedding_backward = primitive(
    "embedding_dense_backward",
    lambda input, indices, num_weights, padding_idx, scale_grad_by_freq: kernels.embedding_gradient(
        input, indices, num_weights, padding_idx, scale_grad_by_freq
    ),
    tensors=("input", "indices"), **INNER,
    input=lambda g, indices, padding_idx, scale_grad_by_freq: embedding_rows(
        g, indices, padding_idx, scale_grad_by_freq
    ),
)  # fmt: skip


def _embedding_rows(input, indices, padding_idx, scale_grad_by_freq):
    rows = kernels.embedding(input, indices)
    if scale_grad_by_freq:
        rows /= np.bincount(indices.reshape(-1), minlength=len(input))[indices][..., None].astype(rows.dtype)
    if padding_idx >= 0:
        rows[indices == padding_idx] = 0
    return rows


embedding_rows = primitive(
    "embedding_dense_double_backward", _embedding_rows, tensors=("input", "indices"), **INNER,
    input=lambda g, indices, input_shape, padding_idx, scale_grad_by_freq: embedding_backward(
        g, indices, input_shape[0], padding_idx, scale_grad_by_freq
    ),
)  # fmt: skip


def embedding_renorm_(weight, indices, max_norm, norm_type=2.0):
    """Shrink, in place and unrecorded, the rows of `weight` that `indices` names to a norm of at most `max_norm`."""
    kernels.embedding_renorm_(weight._array, indices._array, max_norm, norm_type)
    views.bump(weight)
    return weight


# --- a part of a tensor replaced --------------------------------------------------------------------------------------


def _checked_part(src, part):
    if src.shape != part.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src.shape)}, slice size = {list(part.shape)}"
        )
    part[...] = src


def _select_scatter(input, src, dim, index):
    out = input.copy()
    _checked_part(src, shape_kernels.select(out, dim, index))
    return out


def _slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    out = input.copy()
    _checked_part(src, shape_kernels.slice_along(out, dim, start, end, step))
    return out


def _diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    out = input.copy()
    _checked_part(src, shape_kernels.diagonal(out, offset, dim1, dim2))
    return out


select_scatter = primitive(
    "select_scatter", _select_scatter,
    input=lambda g, dim, index: select_scatter(g, zeros_of(select(g, dim, index)), dim, index),
    src=lambda g, dim, index: select(g, dim, index),
)  # fmt: skip
slice_scatter = primitive(
    "slice_scatter", _slice_scatter,
    input=lambda g, dim, start, end, step: slice_scatter(
        g, zeros_of(slice_along(g, dim, start, end, step)), dim, start, end, step
    ),
    src=lambda g, dim, start, end, step: slice_along(g, dim, start, end, step),
)  # fmt: skip


diagonal_scatter = primitive(
    "diagonal_scatter", _diagonal_scatter,
    input=lambda g, offset, dim1, dim2: diagonal_scatter(
        g, zeros_of(diagonal(g, offset, dim1, dim2)), offset, dim1, dim2
    ),
    src=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2),
)  # fmt: skip


def _as_strided_scatter(input, src, size, stride, storage_offset=None):
    out = input.copy()
    window, geometry = shape_kernels.as_strided(out, size, stride, storage_offset)
    _checked_part(src, window)
    return out, shape_kernels.positions(geometry)


def _keep_positions(input, places):
    """The elements at `places`, and 0 elsewhere."""
    out = np.zeros(input.shape, input.dtype)
    out.reshape(-1)[places.reshape(-1)] = input.reshape(-1)[places.reshape(-1)]
    return out


# PyTorch gives `input` the gradient of the places that were overwritten, not of those that were kept; so does this.
as_strided_scatter = primitive(
    "as_strided_scatter", _as_strided_scatter, residuals=("places",), tensors=("input", "src"),
    input=lambda g, places: keep_positions(g, places), src=lambda g, places: gather_positions(g, places),
)  # fmt: skip
as_strided_scatter.linear = True
keep_positions = primitive(
    "as_strided_scatter_backward", lambda input, places: _keep_positions(input, places), **INNER,
    input=lambda g, places: keep_positions(g, places),
)  # fmt: skip


# --- index tensors: x[i], x[mask], x[i, :, j] = values ----------------------------------------------------------------


class IndexNode(Node):
    """Keeps the index tensors of a read or a write, and sees to it that they are unchanged when backward needs them."""

    __slots__ = ("s_indices", "s_input_shape", "s_values_shape", "s_accumulate")
    kept = ("s_indices",)

    @classmethod
    def of(cls, edges, shape, indices):
        node = new(cls)
        node.edges = edges
        node.seq = next_seq()
        node.shape = shape
        node.hooks = None
        node.s_indices = indices
        node.versions = tuple(graph.version_of(index) for index in indices)
        return node

    def arrays(self):
        """The index arrays; raises RuntimeError if they were freed, or written since."""
        if self.versions is FREED:
            raise RuntimeError(graph.FREED_MESSAGE)
        for index, version in zip(self.s_indices, self.versions, strict=True):
            if index is not None and index._counter is not None and index._version != version:
                raise RuntimeError(graph.modified_message(self, index, version))
        return arrays_of(self.s_indices)

    def release(self):
        self.s_indices, self.versions = None, FREED


class IndexBackward0(IndexNode):
    """Adds what arrives to the elements that were read."""

    __slots__ = ()
    saved = {"indices": "s_indices", "self_sym_sizes": "s_input_shape"}

    def apply(self, g, keep):
        arrays = self.arrays()
        out = np.zeros(self.s_input_shape, g.dtype)
        kernels.accumulate_at(out, arrays, g)
        if not keep:
            self.release()
        return (out,)

    def apply_graph(self, g):
        self.arrays()
        zeros = wrap(np.zeros(self.s_input_shape, g._array.dtype), g.dtype)
        return (index_put(zeros, self.s_indices, g, accumulate=True),)


class IndexPutBackward0(IndexNode):
    """Reads, for the values, what arrived where they were written; what stood there before gets nothing."""

    __slots__ = ()
    saved = {"indices": "s_indices", "accumulate": "s_accumulate"}

    def apply(self, g, keep):
        arrays = self.arrays()
        to_input, to_values = self.edges
        d_input = d_values = None
        if to_input is not None:
            d_input = g
            if not self.s_accumulate:
                d_input = g.copy()
                kernels.put_at(d_input, arrays, np.zeros((), g.dtype))
        if to_values is not None:
            d_values = sum_to.kernel(kernels.take_at(g, arrays), self.s_values_shape)
        if not keep:
            self.release()
        return (d_input, d_values)

    def apply_graph(self, g):
        self.arrays()
        to_input, to_values = self.edges
        d_input = d_values = None
        if to_input is not None:
            zero = wrap(np.zeros((), g._array.dtype), g.dtype)
            d_input = g if self.s_accumulate else index_put(g, self.s_indices, zero)
        if to_values is not None:
            d_values = sum_to(index(g, self.s_indices), self.s_values_shape)
        return (d_input, d_values)


def arrays_of(indices):
    """Index tensors as the kernels take them: byte tensors are masks, small integers refused."""
    return [
        None if entry is None else entry._array if entry.dtype in WHOLE_INDEX else kernels.as_index(entry._array)
        for entry in indices
    ]


class Index(Operation):
    """``x[i, :, j]`` for index tensors i and j: `indices` holds a tensor or None for each leading dimension."""

    def __init__(self):
        super().__init__("index", lambda input, indices: kernels.take_at(input, indices))

    @property
    def on_arrays(self):
        return self.kernel

    def generate(self, kind):
        def index(input, indices):
            plain = type(input) is Tensor or type(input) is Parameter
            if plain and not rare.active and all(x is None or type(x) is Tensor for x in indices):
                return run_index(input, indices)
            return self.general({"input": input, "indices": tuple(indices)})

        return index

    def body(self, values):
        return run_index(values["input"], values["indices"])

    def general(self, values, out=None, kind="function"):
        overridden = overriding(values.values(), out)
        if overridden:
            return self.override(overridden, values, out, kind)
        if getattr(values["input"], "_tangent", None) is not None:
            return forward_mode(self, values, kind)
        return observed(self, values, self.body(values))


def run_index(input, indices):
    try:
        r = kernels.take_at(input._array, arrays_of(indices))
    except Exception as error:
        raise explain(index, error, (input._array,)) from None
    t = new(Tensor)
    t._array = r
    t.dtype = input.dtype
    t._counter = t._base = None
    if input._node is None or not grad_mode.enabled:
        t._node = None
        return t
    node = IndexBackward0.of((input._node,), r.shape, tuple(indices))
    node.s_input_shape = input._array.shape
    t._node = node
    return t


class IndexPut(Operation):
    """``x[i, :, j] = values`` for index tensors i and j, out of place and in place."""

    def __init__(self):
        super().__init__("index_put", index_put_kernel, index_put_kernel.__doc__)

    @property
    def on_arrays(self):
        return self.kernel

    def generate(self, kind):
        def index_put(input, indices, values, accumulate=False):
            return self.general(
                {"input": input, "indices": tuple(indices), "values": values, "accumulate": accumulate}, None, kind
            )

        index_put.__name__ = index_put.__qualname__ = "index_put_" if kind == "inplace" else "index_put"
        index_put.__doc__ = self.doc
        index_put.__module__ = "wengert"
        index_put.operation = self
        return index_put

    def general(self, values, out=None, kind="function"):
        overridden = overriding(values.values(), out)
        if overridden:
            return self.override(overridden, values, out, kind)
        self.check(values)
        if any(getattr(values[name], "_tangent", None) is not None for name in ("input", "values")):
            return forward_mode(self, values, kind)
        run = put_in_place if kind == "inplace" else self.body_of
        return observed(self, values, run(*values.values()))

    def body(self, values):
        return self.body_of(*values.values())

    def check(self, values):
        input, source = values["input"], values["values"]
        for name in ("input", "values"):
            if not isinstance(values[name], Tensor):
                raise TypeError(f"index_put(): argument '{name}' must be Tensor, not {type(values[name]).__name__}")
        for position, entry in enumerate(values["indices"]):
            if entry is not None and not isinstance(entry, Tensor):
                raise TypeError(f"expected Tensor as element {position} in argument 0, but got {type(entry).__name__}")
        if len(values["indices"]) > input._array.ndim:
            raise IndexError(
                f"too many indices for tensor of dimension {input._array.ndim} (got {len(values['indices'])})"
            )
        if not values["indices"]:
            raise RuntimeError("index_put(): at least one index tensor is needed")
        check_put_dtypes(input, input._array, values["indices"], source, values["accumulate"])

    def body_of(self, input, indices, values, accumulate):
        r = kernels.dense_copy(input._array)
        write_at(r, indices, values, accumulate)
        t = wrap(r, input.dtype)
        if grad_mode.enabled and (input._node is not None or values._node is not None):
            t._node = put_node(input, indices, values, accumulate)
        return t


def index_put_kernel(input, indices, values, accumulate=False):
    """`input` with `values` written where the index tensors point.

    Args:
        input: any shape.
        indices: a tuple with an integer or boolean tensor (or None) for each leading dimension.
        values: a tensor of `input`'s dtype that broadcasts to the shape of ``input[indices]``.
        accumulate: add to what is there, counting repeats, instead of replacing it.
    """
    out = kernels.dense_copy(input)
    (kernels.accumulate_at if accumulate else kernels.put_at)(out, list(indices), values)
    return out


def check_put_dtypes(input, array, indices, values, accumulate=False):
    """Raise RuntimeError if `input`, whose `array` is written to, and `values` differ in dtype, unless a mask is filled
    with one value, which is a `masked_fill`.
    """
    if values.dtype is input.dtype:
        return
    present = [entry for entry in indices if entry is not None]
    if not accumulate and values._array.size == 1 and len(present) == 1 and present[0].dtype is bool_:
        return
    kernels.check_put(array, arrays_of(indices), values._array)
    raise RuntimeError(
        "Index put requires the source and destination dtypes match, "
        f"got {SCALAR_NAMES[input.dtype]} for the destination and {SCALAR_NAMES[values.dtype]} for the source."
    )


def write_at(array, indices, values, accumulate):
    arrays = arrays_of(indices)
    try:
        (kernels.accumulate_at if accumulate else kernels.put_at)(array, arrays, values._array)
    except Exception as error:
        raise explain(index_put, error, (array,)) from None


def put_node(input, indices, values, accumulate):
    node = IndexPutBackward0.of((input._node, values._node), input._array.shape, tuple(indices))
    node.s_values_shape = values._array.shape
    node.s_accumulate = accumulate
    return node


def put_in_place(input, indices, values, accumulate):
    recorded = grad_mode.enabled and (input._node is not None or values._node is not None)
    if recorded:
        views.check_inplace(input)
    elif grad_mode.enabled and input._base is not None:
        views.check_unrecorded(input)
    views.refuse_sharing(input, values)
    write_at(input._array, indices, values, accumulate)
    views.bump(input)
    if recorded:
        views.set_history(input, put_node(input, indices, values, accumulate))
    return input


index = Index()
read = index  # `index` is a parameter's name in the bracket
index_put = IndexPut().export(inplace=True)


# --- the bracket ------------------------------------------------------------------------------------------------------


def getitem(self, index):
    """``self[index]``: a view for ints, slices, None and Ellipsis; a copy as soon as an index tensor takes part.

    Raises:
        IndexError: an index out of range, too many of them, or something that is no index.
        ValueError: a slice whose step is not positive.
    """
    kind = type(index)
    if (type(self) is not Tensor and type(self) is not Parameter) or rare.active:
        overridden = overriding((self, index), None)
        if overridden:
            from wengert import overrides

            return overrides.handle(Tensor.__getitem__, overridden, (self, index), {})
    elif kind is Tensor:
        if is_whole_index(index, self):
            return run_index(self, (index,))
    elif self._node is None:
        try:
            if kind is int:
                return as_view_of(self, self._array[index, ...])
            if kind is slice and step_is_plain(index):
                return as_view_of(self, self._array[index])
            if kind is tuple and (key := numpy_key(index)) is not None:
                return as_view_of(self, self._array[key])
            if kind is tuple and (basic := entries(index, self._array.ndim)) is not None:
                return as_view_of(self, with_steps(self._array, basic))
            if index is Ellipsis:
                return as_view_of(self, self._array[...])
        except (IndexError, TypeError):
            pass  # said below, in PyTorch's words
    elif kind is int and (extents := self._array.shape) and -extents[0] <= index < extents[0]:
        return row.function(self, 0, index)
    if index is None:
        return unsqueeze.function(self, 0)
    if kind is tuple and not rare.active and (basic := entries(index, self._array.ndim)) is not None:
        try:
            return viewed(self, basic)
        except (IndexError, TypeError):
            pass  # said below, in PyTorch's words
    if kind is slice and self._array.ndim:
        return sliced(self, 0, index)
    basic, arrays, tensors = planned(self, index)
    if not arrays:
        return viewed(self, basic)
    return read(windowed(self, basic), tensors)


# x[3], recorded: `select` with nothing left to check.
row = primitive(
    "select", lambda input, dim, index: input[index, ...], view=True, **INNER,
    input=lambda g, input_shape, dim, index: pad_select(g, input_shape, dim, index),
)  # fmt: skip
WHOLE_INDEX = frozenset({bool_, int32, int64})  # what reaches the kernel as it is


def is_whole_index(index, tensor):
    """Whether one index tensor is all there is, and needs no looking at: integers, or a mask of all elements."""
    if type(index) is not Tensor or index.dtype not in WHOLE_INDEX or not index._array.ndim or not tensor._array.ndim:
        return False
    return index.dtype is not bool_ or index._array.shape == tensor._array.shape


def step_is_plain(piece):
    return piece.step is None or (type(piece.step) is int and piece.step > 0)


def numpy_key(index):
    """The tuple with which NumPy reads a basic index as PyTorch does, and gives an array; None for other indices."""
    seen = False
    for entry in index:
        kind = type(entry)
        if kind is slice:
            if not step_is_plain(entry):
                return None
        elif entry is Ellipsis:
            seen = True
        elif kind is not int:  # a new dimension is one of NumPy's too, but with a stride of 0
            return None
    return index if seen else (*index, ...)


def entries(index, ndim):
    """A tuple of ints, slices and None, one for each dimension that an ellipsis stands for; None for other indices."""
    used, hidden = 0, None
    for place, entry in enumerate(index):
        kind = type(entry)
        if kind is int or (kind is slice and step_is_plain(entry)):
            used += 1
        elif entry is Ellipsis and hidden is None:
            hidden = place
        elif entry is not None:
            return None
    if used > ndim:
        return None
    if hidden is None:
        return index
    return (*index[:hidden], *(slice(None),) * (ndim - used), *index[hidden + 1 :])


def sliced(tensor, dim, piece):
    """The view of one slice along `dim`, recorded with PyTorch's numbers for open ends."""
    if piece.step is not None:
        kernels.positive_step(piece)
    try:
        start = 0 if piece.start is None else operator.index(piece.start)
        end = sys.maxsize if piece.stop is None else operator.index(piece.stop)
        step = 1 if piece.step is None else operator.index(piece.step)
    except TypeError:
        raise TypeError("slice indices must be integers or None or have an __index__ method") from None
    return slice_along(tensor, dim, start, end, step)


def planned(self, index):
    """The index split into its basic part, the index arrays, and these as the tensors that the graph keeps."""
    originals = {}
    if isinstance(index, str):
        raise TypeError("new(): invalid data type 'str': only integers, slices and tensors are indices")
    basic, arrays = kernels.plan(self._array.shape, array_of(index, originals))
    tensors = tuple(None if a is None else originals[id(a)] if id(a) in originals else wrap(a) for a in arrays)
    return basic, arrays, tensors


def array_of(entry, originals):
    """An index with arrays in the place of tensors, which are noted in `originals`."""
    if isinstance(entry, Tensor):
        originals[id(entry._array)] = entry
        return entry._array
    if isinstance(entry, tuple):
        return tuple(array_of(item, originals) for item in entry)
    if isinstance(entry, list):
        return [array_of(item, originals) for item in entry] if contains_tensor(entry) else entry
    return entry


def contains_tensor(entries):
    return any(isinstance(entry, Tensor) or (isinstance(entry, list) and contains_tensor(entry)) for entry in entries)


def viewed(self, basic):
    """The view that a basic index names, never `self` itself."""
    view = windowed(self, basic)
    return alias_op(self) if view is self else view


def windowed(self, basic):
    """The view that a basic index names, or `self` if that is the whole of it: one view, or a chain if recorded."""
    recorded = self._node is not None or rare.active or type(self) is not Tensor
    tensor, dim = self, 0
    if not recorded:
        array = with_steps(self._array, basic) if None in basic else self._array[(*basic, ...)]
        whole = array.strides == self._array.strides and array.shape == self._array.shape
        return self if whole else as_view_of(self, array)
    for entry in basic:
        if entry is None:
            tensor = unsqueeze.function(tensor, dim)
        elif type(entry) is int:
            tensor = select.function(tensor, dim, entry)
            continue
        elif entry.start is not None or entry.stop is not None or entry.step is not None:
            size = tensor._array.shape[dim]
            if not is_written_whole(entry, size):
                tensor = slice_along.function(tensor, dim, *entry.indices(size))
        dim += 1
    return tensor


def with_steps(array, basic):
    """The view of `array` that a basic index names, each new dimension stepping over the one before which it stands."""
    view = array[(*basic, ...)]
    strides, dim, behind = list(view.strides), 0, 0
    for entry in basic:
        if entry is None:
            strides[dim] = array.shape[behind] * array.strides[behind] if behind < array.ndim else array.itemsize
        else:
            behind += 1
        dim += type(entry) is not int
    return shape_kernels.strided_window(view, view.shape, tuple(strides), view.flags.writeable)


def is_written_whole(piece, size):
    """Whether a slice is all of a dimension as it is written, which PyTorch leaves out (not so ``-size:``)."""
    from_start = piece.start is None or operator.index(piece.start) == 0
    to_end = piece.stop is None or operator.index(piece.stop) >= size
    return from_start and to_end and (piece.step is None or operator.index(piece.step) == 1)


def setitem(self, index, value):
    """``self[index] = value``: `value` is a number or a tensor that broadcasts to ``self[index]``.

    Raises:
        IndexError, ValueError: as for reading.
        RuntimeError: shapes that do not fit, a number that the dtype cannot hold, a leaf that requires grad.
        TypeError: a value that is neither tensor nor number.
    """
    kind = type(value)
    if rare.active or (type(self) is not Tensor and type(self) is not Parameter) or hasattr(kind, "__torch_function__"):
        overridden = overriding((self, index, value), None)
        if overridden:
            from wengert import overrides

            return overrides.handle(Tensor.__setitem__, overridden, (self, index, value), {})
    if self._node is None and self._base is None and not rare.active and assigned_plainly(self, index, value):
        return None
    if not isinstance(value, Tensor):
        value = wrap(number_for(self, value), self.dtype)
    if index is False:  # chooses nothing, and does not count as a write
        return None
    if index is True:
        index = None
    if isinstance(index, Tensor) and index.dtype is uint8 and index._array.ndim and value._array.size == 1:
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype unsigned char")
    if is_whole_index(index, self):
        basic, arrays, tensors = (), [index._array], (index,)
    else:
        basic, arrays, tensors = planned(self, index)
    nothing_to_record = not grad_mode.enabled or (self._node is None and self._base is None and value._node is None)
    if nothing_to_record and not rare.active and self._tangent is None and value._tangent is None:
        assign(self, basic, arrays, tensors, value)
    else:
        with_history(self, basic, tensors, value)
    return None


def assigned_plainly(self, index, value):
    """Write an ordinary number, or a tensor outside of the graph, where a basic index points, if that is all."""
    kind, target = type(index), self.dtype
    if type(value) is Tensor:
        if value.dtype is not target or value._node is not None or value._base is self or self._tangent is not None:
            return False
        value = value._array
    elif not target.takes_numbers or type(value) not in (int, float) or not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        return False
    if kind is tuple:
        index = numpy_key(index)
        if index is None:
            return False
    elif kind is not int and index is not Ellipsis and not (kind is slice and step_is_plain(index)):
        return False
    try:
        self._array[index] = value
    except (IndexError, TypeError, ValueError):
        return False  # the long way finds the words
    views.bump(self)
    return True


def reads_what_it_writes(array, arrays, source):
    """Whether an assignment would; a single number, under a mask or for a whole window, is read before."""
    if arrays:
        masked = source.size == 1 and len(arrays) == 1 and arrays[0].dtype.kind == "b"
        return not masked and overlap.shared(array, source)
    return source.ndim > 0 and overlap.crossed(array, source)


def assign(self, basic, arrays, tensors, value):
    """Write, where nothing has to be recorded."""
    array = self._array[(*basic, ...)]
    source = kernels.without_leading_ones(value._array)
    if (value._base is not None or self._base is not None) and reads_what_it_writes(array, arrays, source):
        raise RuntimeError(views.SHARED)
    try:
        if arrays:
            check_put_dtypes(self, array, tensors, value)
            kernels.put_at(array, arrays, source)
        else:
            kernels.check_fits(source, array.shape)
            array[...] = source.real if source.dtype.kind == "c" and array.dtype.kind != "c" else source
    except Exception as error:
        raise explain(index_put, error, (array,)) from None
    views.bump(self)


def with_history(self, basic, tensors, value):
    """Write in the graph's sight: into the view that the basic part names."""
    view = windowed(self, basic)
    if not tensors and value._array.ndim == 0 and view._array.ndim and view._array.flags.writeable:
        view.fill_(value)
        return
    source = kernels.without_leading_ones(value._array)
    if source.ndim != value._array.ndim:
        value = value.reshape(source.shape)
    if tensors:
        check_put_dtypes(self, view._array, tensors, value)
        index_put.variant("inplace")(view, tensors, value)
    else:
        kernels.check_fits(value._array, view._array.shape)
        view.copy_(value)


def number_for(self, value):
    """A number as a 0-d array of the tensor's dtype, refused where PyTorch refuses it."""
    if not isinstance(value, (bool, int, float, complex, np.integer)):
        name = type(value).__name__
        module = type(value).__module__
        raise TypeError(
            f"can't assign a {name if module == 'builtins' else f'{module}.{name}'} "
            f"to a {TENSOR_TYPE_NAMES[self.dtype]}"
        )
    dtype = self._array.dtype
    if self.dtype.is_half and not isinstance(value, complex):  # what is too large for it becomes infinite
        return np.asarray(value, np.float64).astype(dtype)
    return np.asarray(fitting(value, dtype))


for _operation in (gather, index_select, masked_select):
    exact_out(_operation, "input", apart=True)
exact_out(take, "input", apart=True,
          sentence="take(): self and out expected to have the same dtype, but got {0.name} and {1.name}")  # fmt: skip
for _operation in (scatter_src, scatter_value, scatter_src_reduced, scatter_value_reduced, scatter_add,
                   scatter_reduce, index_add, index_copy, index_reduce, take_along_dim,
                   select_scatter, slice_scatter, diagonal_scatter, as_strided_scatter):  # fmt: skip
    exact_out(_operation, "input")
for _operation in (nonzero, argwhere):
    exact_out(_operation, int64,
              sentence="nonzero: Expected out tensor to have scalar type Long but got scalar type{2}")  # fmt: skip

getitem.__name__ = getitem.__qualname__ = "__getitem__"
setitem.__name__ = setitem.__qualname__ = "__setitem__"
Tensor.__getitem__ = getitem
Tensor.__setitem__ = setitem


def delitem(self, index):
    """Refused: a tensor keeps its elements."""
    raise TypeError("Tensor does not support deleting items")


Tensor.__delitem__ = delitem
