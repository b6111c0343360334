"""Arrangements of elements said with the views and joins of `shape`: diagonals, stacks, grids, turns, repeats."""

import inspect
import types

import numpy as np

from wengert import dtypes
from wengert.absent import named
from wengert.kernels.reductions import axis_of
from wengert.ops import shape
from wengert.ops.creation import check_device
from wengert.ops.declare import FUNCTIONS, composite, variadic
from wengert.ops.indexing import index_select
from wengert.ops.shape import (
    cat,
    diagonal,
    expand_op,
    narrow_to,
    pad_diagonal,
    slice_along,
    split,
    stack,
    tensor_split,
    transpose,
    unbind,
)
from wengert.ops.shape import select as select_one
from wengert.tensor import Tensor, wrap

# --- diagonals --------------------------------------------------------------------------------------------------------


@composite
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices whose diagonals are the last dimension of `input`, elsewhere 0."""
    ndim = input.ndim + 1
    first, second = axis_of(dim1, ndim), axis_of(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = input.shape[-1] + abs(offset)
    extents = iter(input.shape[:-1])
    full = tuple(n if d in (first, second) else next(extents) for d in range(ndim))
    return pad_diagonal(input, full, offset, first, second)


@composite
def diag(input, diagonal=0):
    """The matrix with this diagonal, or the diagonal of this matrix (a copy)."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return shape.diagonal(input, diagonal, 0, 1).clone()


@composite
def diagflat(input, offset=0):
    """The matrix whose diagonal is all elements of `input`."""
    return diag_embed(input.reshape(-1), offset)


@composite
def trace(input):
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input.dtype is dtypes.bool_:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    return diagonal(input, 0, 0, 1).sum()


def linalg_diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of the matrices in the last two dimensions; a view."""
    return diagonal(A, offset, dim1, dim2)


composite(linalg_diagonal, namespace="linalg", method=False, name="diagonal")


def fill_diagonal_(self, fill_value, wrap=False):
    """Set the main diagonal to a number in place; `wrap` goes on below the square of a tall matrix."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    rows = self.shape[0]
    if self.ndim > 2 and len(set(self.shape)) != 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(self.stride())
    count = min(self.shape)
    if wrap and self.ndim == 2 and rows > self.shape[1]:
        columns = self.shape[1]
        places = range(0, rows * columns, columns + 1)
        for place in places:
            self[place // columns, place % columns] = fill_value
        return self
    self.as_strided((count,), (step,), self.storage_offset()).fill_(fill_value)
    return self


Tensor.fill_diagonal_ = fill_diagonal_


def _block_diag(matrices):
    rows, columns = (sum(m.shape[d] for m in matrices) for d in (0, 1))
    result = np.zeros((rows, columns), matrices[0].dtype)
    for (top, left), m in zip(corners(m.shape for m in matrices), matrices, strict=True):
        result[top : top + m.shape[0], left : left + m.shape[1]] = m
    return result


def corners(shapes):
    top = left = 0
    for rows, columns in shapes:
        yield top, left
        top, left = top + rows, left + columns


def blocks(g, shapes):
    return [
        narrow_to(narrow_to(g, 0, top, rows), 1, left, columns)
        for (top, left), (rows, columns) in zip(corners(shapes), shapes, strict=True)
    ]


join_blocks = variadic("block_diag", _block_diag, lambda g, shapes: blocks(g, shapes), node="BlockDiagBackward0")
del FUNCTIONS[""]["block_diag"]


@composite(method=False)
def block_diag(*tensors):
    """The matrix with these matrices along its diagonal, elsewhere 0; vectors count as rows."""
    matrices = [x if x.ndim == 2 else x.reshape(1, -1) for x in sequence_of(tensors)]
    for i, x in enumerate(sequence_of(tensors)):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.ndim} dimensions"
            )
    return join_blocks(matrices)


def sequence_of(tensors):
    """``f(a, b)`` and ``f([a, b])`` say the same."""
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else list(tensors)


# --- stacks and cuts along named directions ---------------------------------------------------------------------------


def at_least(ndim, widen):
    def function(*tensors):
        given = sequence_of(tensors)
        results = [x if x.ndim >= ndim else widen(x) for x in given]
        return results[0] if len(tensors) == 1 and isinstance(tensors[0], Tensor) else tuple(results)

    function.__name__ = f"atleast_{ndim}d"
    function.__doc__ = f"Each tensor with at least {ndim} dimensions: those that it lacks are of one element."
    return composite(function, method=False)


def _three(x):
    return x.reshape(1, 1, 1) if not x.ndim else x.unsqueeze(0).unsqueeze(-1) if x.ndim == 1 else x.unsqueeze(-1)


atleast_1d = at_least(1, lambda x: x.reshape(1))
atleast_2d = at_least(2, lambda x: x.reshape(1, 1) if not x.ndim else x.unsqueeze(0))
atleast_3d = at_least(3, _three)


@composite(method=False)
def hstack(tensors):
    """Joined side by side: along the second dimension, vectors along their only one."""
    tensors = atleast_1d(needed(tensors, "hstack"))
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


@composite(method=False, alias=("row_stack",))
def vstack(tensors):
    """Joined one below the other: along the first dimension, vectors as rows."""
    return cat(atleast_2d(needed(tensors, "vstack")), 0)


@composite(method=False)
def dstack(tensors):
    """Joined one behind the other: along the third dimension."""
    return cat(atleast_3d(needed(tensors, "dstack")), 2)


@composite(method=False)
def column_stack(tensors):
    """Joined side by side, vectors as columns."""
    return hstack([x if x.ndim > 1 else x.reshape(x.numel(), 1) for x in needed(tensors, "column_stack")])


def needed(tensors, name):
    if isinstance(tensors, Tensor) or not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return list(tensors)


def cutting(name, least, dim_of):
    def function(input, indices_or_sections):
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
                f"{input.ndim} dimensions!"
            )
        dim = dim_of(input.ndim)
        if isinstance(indices_or_sections, int):
            sections, n = indices_or_sections, input.shape[dim]
            if sections == 0 or n % sections:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {n} is "
                    "not divisible "
                    f"by the split_size {sections}!"
                )
        return tensor_split(input, indices_or_sections, dim)

    function.__name__ = name
    function.__doc__ = (
        f"Pieces along the direction of `{name[0]}stack`: this many equal ones, or cut at these indices; views."
    )
    return composite(function)


hsplit = cutting("hsplit", 1, lambda ndim: 0 if ndim == 1 else 1)
vsplit = cutting("vsplit", 2, lambda ndim: 0)
dsplit = cutting("dsplit", 3, lambda ndim: 2)


def unsafe(name, cut):
    """The pieces as separate views, so that each may be written in place."""

    def function(input, sizes, dim=0):
        pieces, start = [], 0
        for piece in cut(input, sizes, dim):
            n = piece.shape[dim]
            pieces.append(slice_along(input, dim, start, start + n))
            start += n
        return tuple(pieces)

    function.__name__ = name
    function.__doc__ = (
        f"`{name.removeprefix('unsafe_')}`, whose pieces may be written in place where gradients are recorded."
    )
    return function


def unsafe_split(tensor, split_size, dim=0):
    """`split`, whose pieces may be written in place where gradients are recorded."""
    return unsafe("unsafe_split", split)(tensor, split_size, dim)


def unsafe_split_with_sizes(input, split_sizes, dim=0):
    """`split_with_sizes`, whose pieces may be written in place where gradients are recorded."""
    return unsafe("unsafe_split_with_sizes", split)(input, list(split_sizes), dim)


def unsafe_chunk(input, chunks, dim=0):
    """`chunk`, whose pieces may be written in place where gradients are recorded."""
    return unsafe("unsafe_chunk", shape.chunk)(input, chunks, dim)


for _function in (unsafe_split, unsafe_split_with_sizes, unsafe_chunk):
    composite(_function)

# --- grids ------------------------------------------------------------------------------------------------------------


@composite(method=False)
def meshgrid(*tensors, indexing=None):
    """Coordinates of a grid: one tensor for each of these vectors, all of the grid's shape; views.

    Args:
        indexing: "ij" (the first vector counts rows) or "xy" (it counts columns).
    """
    vectors = sequence_of(tensors)
    if not vectors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            UserWarning,
            stacklevel=3,
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in vectors:
        if x.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(x.shape)}")
        if x.dtype is not vectors[0].dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    swapped = indexing == "xy" and len(vectors) > 1
    if swapped:
        vectors[:2] = vectors[1::-1]
    extents = [x.numel() for x in vectors]
    grids = [
        expand_op(x.reshape([-1 if j == i else 1 for j in range(len(vectors))]), tuple(extents))
        for i, x in enumerate(vectors)
    ]
    if swapped:
        grids[:2] = grids[1::-1]
    return tuple(grids)


@composite(method=False)
def cartesian_prod(*tensors):
    """All ways to take one element from each vector, as rows in order."""
    vectors = sequence_of(tensors)
    for x in vectors:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    if len(vectors) == 1:
        return vectors[0]
    return stack([x.reshape(-1) for x in meshgrid(*vectors, indexing="ij")], 1)


@composite
def combinations(input, r=2, with_replacement=False):
    """All ways to take `r` elements of a vector, as rows in order."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    rows = rising_rows(input.numel(), r, with_replacement)
    return index_select(input, 0, wrap(rows.reshape(-1))).reshape(rows.shape)


def rising_rows(n, r, repeats):
    """All rows of `r` rising numbers below `n`, in order; neighbours may be equal if `repeats`."""
    rows = np.arange(n)[:, None]
    for _ in range(r - 1):
        least = rows[:, -1] + (not repeats)
        choices = n - least
        first = np.cumsum(choices) - choices  # where the continuations of each row begin
        following = np.arange(choices.sum()) - np.repeat(first - least, choices)
        rows = np.column_stack([np.repeat(rows, choices, axis=0), following])
    return rows


def triangle(name, within):
    def function(row, col, offset=0, *, dtype=dtypes.int64, device=None, layout=None, pin_memory=False):
        check_device(device)
        if dtype.category > dtypes.INTEGER:
            raise NotImplementedError(f"\"{name}\" not implemented for '{dtypes.SCALAR_NAMES[dtype]}'")
        for value, what in ((row, "row"), (col, "col")):
            if value < 0:
                raise RuntimeError(f"{what} must be non-negative, got{value}")
        places = within(np.arange(row)[:, None] + offset, np.arange(col)).nonzero()
        return wrap(np.array(places, dtype.numpy), dtype)

    which = "lower" if name[2] == "i" else "upper"
    doc = f"Rows and columns (2, N) of the {which} triangle of a matrix of this size."
    return named(function, "wengert", name, doc)


tril_indices = triangle("tril_indices", np.greater_equal)
triu_indices = triangle("triu_indices", np.less_equal)


@composite(method=False)
def unravel_index(indices, shape):
    """Positions in a flat array as a tuple of coordinates in an array of `shape`."""
    if indices.dtype.category not in (0, 1) or indices.dtype is dtypes.bool_:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if not isinstance(shape, (int, tuple, list)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    shape = [shape] if isinstance(shape, int) else list(shape)
    for n in shape:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
    if any(n < 0 for n in shape):
        raise ValueError(f"unravel_index() 'shape' cannot have negative values, but got {tuple(shape)}")
    strides = [int(np.prod(shape[i + 1 :], dtype=int)) for i in range(len(shape))]
    array = indices._array
    places = np.empty((*array.shape, len(shape)), array.dtype)
    for i, (step, n) in enumerate(zip(strides, shape, strict=True)):
        places[..., i] = array // step % n
    return tuple(wrap(places[..., i]) for i in range(len(shape)))


@composite(method=False)
def vander(x, N=None, increasing=False):
    """The matrix of powers of a vector (Vandermonde), the highest first unless `increasing`."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    return powers_of(x, count, not increasing)


def powers_of(x, count, falling=False):
    """The powers of every element along a new last dimension; made along the first, where NumPy multiplies rows."""
    powers = x.unsqueeze(0) ** 0
    if x.dtype.category < 2:
        powers = powers.to(dtypes.int64)
    if count < 2:
        powers = narrow_to(powers, 0, 0, count)
    else:
        powers = cat([powers, expand_op(x.unsqueeze(0), (count - 1, *x.shape)).cumprod(0)], 0)
    return (powers.flip(0) if falling else powers).movedim(0, -1).contiguous()


def linalg_vander(x, *, N=None):
    """The powers 0 to N - 1 of every element (..., n), along a further dimension: (..., n, N)."""
    if N is not None and N <= 1:
        raise RuntimeError("N must be greater than 1.")
    x = x if x.ndim else x.reshape(1)
    return powers_of(x, x.shape[-1] if N is None else N)


composite(linalg_vander, namespace="linalg", method=False, name="vander")

# --- turns and repeats ------------------------------------------------------------------------------------------------


@composite
def fliplr(input):
    """Columns in reverse order."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return input.flip(1)


@composite
def flipud(input):
    """Rows in reverse order."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return input.flip(0)


@composite
def rot90(input, k=1, dims=(0, 1)):
    """Turned by 90 degrees `k` times, from the first of `dims` toward the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = (axis_of(d, input.ndim) for d in dims)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    turns = {
        0: lambda: input.clone(),
        1: lambda: input.flip(second).transpose(first, second),
        2: lambda: input.flip(first, second),
        3: lambda: input.flip(first).transpose(first, second),
    }
    return turns[k % 4]()


@composite
def moveaxis(input, source, destination):
    """`movedim` under NumPy's name."""
    return shape.movedim(input, source, destination)


@composite
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element along `dim` this many times in a row; all elements, flat, if `dim` is None.

    Args:
        repeats: a number, or a count for each element; alone, they repeat their own indices.
        output_size: the extent of the result along `dim`, if known.
    """
    if repeats is None:
        repeats, input = input, wrap(np.arange(input.numel()))
        if repeats.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        dim = 0
    if dim is None:
        input, dim = input.reshape(-1), 0
    axis = axis_of(dim, input.ndim)
    counts = repeats._array if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.dtype.name not in ("int32", "int64"):
        raise RuntimeError("repeats has to be Long or Int tensor")
    if counts.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    n = input.shape[axis] if input.ndim else 1
    if counts.ndim and counts.size not in (1, n):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({axis}) = {n}"
        )
    index = np.repeat(np.arange(n), counts)
    if output_size is not None and output_size != index.size:
        raise RuntimeError("allocated size does not match required size")
    return index_select(input, axis, wrap(index))


# --- copies of views --------------------------------------------------------------------------------------------------


def copies(name, view):
    """``transpose_copy`` and its kind: what the view shows, in memory of its own."""

    def function(*args, **kwargs):
        result = view(*args, **kwargs)
        return tuple(compact(x) for x in result) if isinstance(result, (tuple, list)) else compact(result)

    function.__name__ = f"{name}_copy"
    function.__doc__ = f"`{name}` as a copy with memory of its own."
    is_function = isinstance(view, types.FunctionType)
    function.__signature__ = (
        inspect.signature(view) if is_function else inspect.Signature(list(view.signature.values()))
    )
    return composite(function, method=name == "narrow")


def compact(x):
    return x.clone(memory_format=dtypes.contiguous_format)


def narrowed(input, dim, start, length):
    """As `narrow`; but PyTorch's copy finds a dimension out of range by an assertion, which is a RuntimeError."""
    if isinstance(dim, int) and dim >= input.ndim:
        raise RuntimeError(
            f"Expected dim < self.dim() to be true, but got {dim} and {input.ndim}: Dimension out of range"
        )
    return input.narrow(dim, start, length)


VIEWS = {
    "alias": lambda input: input.view_as(input),
    "as_strided": shape.as_strided,
    "detach": lambda input: input.detach(),
    "diagonal": diagonal,
    "expand": lambda input, size, *, implicit=False: input.expand(size),
    "narrow": narrowed,
    "permute": shape.permute,
    "select": select_one,
    "slice": lambda input, dim=0, start=None, end=None, step=1: slice_along(input, dim, start, end, step),
    "split": split,
    "split_with_sizes": shape.split_with_sizes,
    "squeeze": shape.squeeze,
    "t": shape.t,
    "transpose": transpose,
    "unbind": unbind,
    "unfold": lambda input, dimension, size, step: input.unfold(dimension, size, step),
    "unsqueeze": shape.unsqueeze,
    "view": lambda input, size: input.view(size),
    "view_as_complex": shape.view_as_complex,
    "view_as_real": shape.view_as_real,
}
for _name, _view in VIEWS.items():
    globals()[f"{_name}_copy"] = copies(_name, _view)


def as_strided_(self, size, stride, storage_offset=None):
    """This tensor itself takes another shape and other strides over its storage; returns it."""
    return shape.rearranged("as_strided", lambda *a: shape.as_strided(*a), "AsStridedBackward1")(
        self, size, stride, storage_offset
    )


Tensor.as_strided_ = as_strided_
Tensor.broadcast_to = lambda self, *size: expand_op(self, shape.dims_given(size, "broadcast_to"))
adjoint = composite(lambda input: input.adjoint(), name="adjoint", method=False)
FUNCTIONS[""]["adjoint"].__doc__ = "The conjugate transpose of the last two dimensions."
