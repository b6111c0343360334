"""Indexing: reading and writing chosen elements of an array, by PyTorch's rules.

Three families live here, each in a reading and a writing form:

* the bracket (``x[2, 1:, None, mask, index]``): :func:`plan` splits an index into a *basic* part, which is a view,
  and the *index arrays* that are left for :func:`take_at`, :func:`put_at` and :func:`accumulate_at`;
* one coordinate replaced along one dimension: ``gather``/``scatter`` (an index per element) and
  ``index_select``/``index_add`` (an index per slice);
* masks.

Writing with repeated indices is where NumPy's idioms are slow (``np.add.at`` on rows) or wrong (``x[i] += v`` keeps one
of the repeats). :func:`accumulate_rows` is the one place that knows better; every gradient of a read comes through it,
and it adds repeats in the order in which they stand, so that sums round as PyTorch's serial loops do.

Functions whose name ends in an underscore write into their first argument and return it.
"""

import functools
import operator
import warnings
from math import prod

import numpy as np

from wengert.kernels.choices import by_size, offered, state
from wengert.kernels.copies import LARGE, fill, in_rows

INTEGERS = frozenset("iu")
INT64 = np.dtype(np.int64)

# PyTorch's names of dtypes in the sentences of its errors.
SCALAR_NAMES = {
    "bool": "Bool",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
}


BYTE_MASK = "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."


def scalar_name(input):
    """PyTorch's name of an array's dtype, as its errors give it."""
    return SCALAR_NAMES.get(input.dtype.name, input.dtype.name)


# --------------------------------------------------------------------------------------------------------------------
# The bracket: x[...]
# --------------------------------------------------------------------------------------------------------------------


def plan(shape, index):
    """Split an index expression into a view and the index arrays that apply to that view.

    Args:
        shape: the shape of the array to be indexed.
        index: what stood in the brackets, tensors replaced by arrays: ints, slices, ``None``, ``Ellipsis``, bools,
            integer or boolean arrays, nested lists, or a tuple of these.

    Returns:
        ``(basic, arrays)``: a tuple for NumPy's basic indexing with one entry per dimension (full slices included),
        and a list of integer arrays and None, one per dimension of ``input[basic]``, and boolean arrays, which stand
        for as many dimensions as they have (trailing Nones left out; empty if the result is a view).

    Raises:
        IndexError: too many indices, an integer out of range, or something that is no index.
        ValueError: a slice whose step is not positive.
    """
    items = _items(index)
    specified = sum(map(_dims_used, items))
    if specified > len(shape):
        if len(shape) == 0 and len(items) == 1:
            _refuse_on_scalar(items[0])
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    hidden = len(shape) - specified
    basic, arrays, masks, axis = [], [], [], 0
    for place, item in enumerate(items):
        if item is None:
            basic.append(None)
            arrays.append(None)
        elif item is Ellipsis:
            width = min(hidden, len(shape) - axis)
            basic.extend([slice(None)] * width)
            arrays.extend([None] * width)
            axis += width
        elif isinstance(item, slice):
            basic.append(_checked(item, shape[axis]))
            arrays.append(None)
            axis += 1
        elif isinstance(item, np.ndarray):
            if item.ndim == 0:  # only bools get here: True adds a dimension of size one, False one of size zero
                basic.append(None)
                arrays.append(np.zeros(1 if item else 0, np.intp))
            else:
                width = item.ndim if item.dtype.kind == "b" else 1
                if item.dtype.kind == "b" and item.shape != tuple(shape[axis : axis + width]):
                    masks.append((item, sum(type(entry) is not int for entry in basic)))
                basic.extend([slice(None)] * width)
                arrays.append(item)
                axis += width
        else:
            if axis >= len(shape):
                raise IndexError(f"Dimension out of range (got {axis} for a tensor of dimension {len(shape)})")
            if not -shape[axis] <= item < shape[axis]:
                raise IndexError(f"index {item} is out of bounds for dimension {place} with size {shape[axis]}")
            basic.append(item)
            axis += 1
    basic.extend([slice(None)] * (len(shape) - axis))
    if masks:
        raise _bad_mask(*masks[0], shape, basic)
    while arrays and arrays[-1] is None:
        arrays.pop()
    return tuple(basic), arrays


def _items(index):
    """The index as a list of ints, slices, None, Ellipsis and arrays (bools as 0-d arrays)."""
    if not isinstance(index, tuple):
        index = index if isinstance(index, list) and _is_really_a_tuple(index) else (index,)
    return [_item(entry) for entry in index]


def _is_really_a_tuple(index):
    """PyTorch reads ``x[[a, b]]`` as ``x[a, b]`` if the list is short and holds anything but plain numbers."""
    return len(index) < 32 and any(
        entry is None or entry is Ellipsis or isinstance(entry, (slice, list, tuple, np.ndarray)) for entry in index
    )


def _item(entry):
    kind = type(entry)
    if kind is int or kind is slice or entry is None or entry is Ellipsis:
        return entry
    if kind is bool:
        return np.array(entry)
    if isinstance(entry, np.ndarray):
        return as_index(entry)
    if isinstance(entry, (list, tuple, range)):
        input = np.array(entry)
        return as_index(input if input.size and input.dtype.kind == "b" else input.astype(np.intp))
    if isinstance(entry, slice):
        return entry
    if isinstance(entry, np.bool_):
        raise _no_index(entry)
    try:
        return operator.index(entry)
    except TypeError:
        raise _no_index(entry) from None


def _no_index(entry):
    kind = type(entry)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return IndexError(
        f"only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {name})"
    )


def as_index(input):
    """An index array as the functions below take it: bytes are a mask, a 0-d integer is an int."""
    dtype = input.dtype
    if dtype == np.uint8:
        warnings.warn(BYTE_MASK, UserWarning, stacklevel=2)
        return np.asarray(input != 0)
    if input.ndim == 0 and dtype.kind in INTEGERS:
        return int(input)
    if dtype.kind == "b" or dtype == np.int64 or dtype == np.int32:
        return input
    raise IndexError("tensors used as indices must be long, int, byte or bool tensors")


def _dims_used(item):
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1


def _refuse_on_scalar(item):
    if isinstance(item, int):
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ "
            "to convert a 0-dim tensor to a number"
        )
    if isinstance(item, slice):
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")


def _checked(piece, size):
    """The slice itself, if its step is positive and its bounds are integers."""
    if piece.step is not None:
        positive_step(piece)
    piece.indices(size)
    return piece


def positive_step(piece):
    """The step of a slice; raises ValueError unless it is positive."""
    step = operator.index(piece.step)
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if step < 0:
        raise ValueError("step must be greater than zero")
    return step


def _bad_mask(mask, at, shape, basic):
    view = np.broadcast_to(np.empty((), bool), shape)[(*basic, ...)].shape
    j = next(j for j, size in enumerate(mask.shape) if size != view[at + j])
    return IndexError(
        f"The shape of the mask {list(mask.shape)} at index {j} does not match "
        f"the shape of the indexed tensor {list(view)} at index {at + j}"
    )


def basic(input, index):
    """The view ``input[index]`` for an index of ints, slices, None and Ellipsis (Python's bools make a copy).

    Raises:
        IndexError, ValueError: as :func:`plan`.
        TypeError: the index holds arrays, lists or bools, for which the result is no view.
    """
    view, arrays = plan(input.shape, index)
    if arrays:
        raise TypeError("basic() takes ints, slices, None and Ellipsis; index arrays and masks go to advanced()")
    return input[(*view, ...)]


def advanced(input, index):
    """``input[index]`` for any index of PyTorch's: a view if the index is basic, else a new array."""
    view, arrays = plan(input.shape, index)
    view = input[(*view, ...)]
    return take_at(view, arrays) if arrays else view


def put_(input, index, value, accumulate=False):
    """``input[index] = value`` (or ``+= value``, every repeat counted, if `accumulate`)."""
    view, arrays = plan(input.shape, index)
    view = input[(*view, ...)]
    value = without_leading_ones(np.asarray(value))
    if not arrays:
        value = check_fits(value, view.shape)
        if accumulate:
            np.add(view, value, out=view, casting="unsafe")
        else:
            view[...] = value
    elif accumulate:
        accumulate_at(view, arrays, value)
    else:
        put_at(view, arrays, value)
    return input


def gradient(shape, index, cotangent):
    """The cotangent of `input` given that of ``input[index]``: zeros, with every element added where it came from."""
    return put_(np.zeros(shape, cotangent.dtype), index, cotangent, accumulate=True)


def without_leading_ones(value):
    """What PyTorch broadcasts in an assignment: the value without its leading dimensions of size one."""
    first = next((d for d, size in enumerate(value.shape) if size != 1), value.ndim)
    return value.reshape(value.shape[first:]) if first else value


def check_fits(value, shape):
    """`value`, checked to broadcast to a view of `shape`."""
    if value.ndim > len(shape):
        raise RuntimeError(
            f"expand(size={list(shape)}): the number of sizes provided ({len(shape)}) must be greater or equal to "
            f"the number of dimensions in the tensor ({value.ndim})"
        )
    for axis in range(-1, -value.ndim - 1, -1):
        if value.shape[axis] not in (1, shape[axis]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[axis]}) must match the existing size ({value.shape[axis]}) "
                f"at non-singleton dimension {len(shape) + axis}.  Target sizes: {list(shape)}.  "
                f"Tensor sizes: {list(value.shape)}"
            )
    return value


# --------------------------------------------------------------------------------------------------------------------
# Index arrays applied to the dimensions of a view
# --------------------------------------------------------------------------------------------------------------------


def take_at(input, arrays):
    """Read the elements that the index arrays choose.

    Args:
        input: (d0, d1, ...).
        arrays: for each leading dimension an integer array or None, or for several of them one boolean array. The
            integer arrays broadcast together.

    Returns:
        A new array. The chosen elements' dimensions stand where the first index array stood if the index arrays are
        adjacent, otherwise in front.
    """
    mask = _only_mask(arrays)
    if mask is not None and mask.ndim == input.ndim:
        return input[mask]
    arrays = _expand_masks(arrays)
    if input.size == 0 and not _in_range(input.shape, arrays):
        return np.empty(_result_shape(input.shape, arrays), input.dtype)
    dense = input.flags.c_contiguous and all(entry is None or entry.flags.c_contiguous for entry in arrays)
    try:
        if dense and sum(entry is not None for entry in arrays) == 1:
            return input.take(arrays[-1], axis=len(arrays) - 1)
        out = input[_key(arrays)]
    except IndexError:
        _in_range(input.shape, arrays)  # says it in PyTorch's words
        raise
    if dense:
        return out if out.flags.c_contiguous else out.copy(order="C")
    return _laid_out(out, _restrided(input, arrays))


def put_at(input, arrays, value):
    """Write `value`, broadcast to the shape that :func:`take_at` would give, where the index arrays point.

    Of several writes to one place the last stays. Writes into `input` and returns None.
    """
    value = np.asarray(value)
    mask = _only_mask(arrays)
    if mask is not None and mask.ndim == input.ndim and value.size == 1:
        fill_where(input, mask, value.reshape(()).astype(input.dtype, copy=False))
        return
    arrays = _expand_masks(arrays)
    try:
        input[_key(arrays)] = value
    except (IndexError, ValueError):  # say it in PyTorch's words
        _fit_result(value, _result_shape(input.shape, arrays))
        if _in_range(input.shape, arrays):  # else there is nothing to write
            raise


def check_put(input, arrays, value):
    """Raise RuntimeError unless `value` can be broadcast to where the index arrays point."""
    _fit_result(value, _result_shape(input.shape, _expand_masks(arrays)))


def accumulate_at(input, arrays, value):
    """Add `value`, broadcast to the shape that :func:`take_at` would give, where the index arrays point.

    Every repeat of an index counts. Writes into `input` and returns None.
    """
    value = np.asarray(value, input.dtype)
    if _accumulate_plainly(input, arrays, value):
        return
    distinct = _only_mask(arrays) is not None
    arrays = _expand_masks(arrays)
    shape = _result_shape(input.shape, arrays)
    value = _fit_result(value, shape)
    if 0 in shape:
        return
    _in_range(input.shape, arrays)
    key = _key(arrays)
    if distinct:
        input[key] += value
        return
    start = next(d for d, entry in enumerate(arrays) if entry is not None)
    if all(entry is not None for entry in arrays[start:]):
        _accumulate_adjacent(input, arrays[start:], start, np.broadcast_to(value, shape))
    else:
        np.add.at(input, key, value)


def _accumulate_plainly(input, arrays, value):
    """The common case: one index into the first dimension, no negative entries, a value for each."""
    index = arrays[0]
    if len(arrays) > 1 or index.dtype != np.int64 or index.ndim != 1 or index.size == 0 or input.size == 0:
        return False
    if value.shape != (index.size, *input.shape[1:]):
        return False
    if np.maximum.reduce(index.view(np.uint64)) >= len(input):
        return False
    accumulate_rows(input, index, value)
    return True


def _accumulate_adjacent(input, indices, start, value):
    """Adjacent index arrays become one index into their dimensions taken together, and these go to the front."""
    stop = start + len(indices)
    sizes = input.shape[start:stop]
    indices = [np.where(index < 0, index + size, index) for index, size in zip(indices, sizes, strict=True)]
    flat = np.ravel_multi_index(np.broadcast_arrays(*indices), sizes)
    order = (*range(start, stop), *range(start), *range(stop, input.ndim))
    target = input.transpose(order)
    rows = target.reshape(prod(sizes), *target.shape[stop - start :])
    value = np.moveaxis(value, range(start, start + flat.ndim), range(flat.ndim))
    accumulate_rows(rows, flat.reshape(-1), value.reshape(flat.size, *rows.shape[1:]))
    if not np.may_share_memory(rows, input):  # the reshape had to copy
        target[...] = rows.reshape(target.shape)


def accumulate_rows(target, index, values, ufunc=np.add):
    """``target[index[k]] = ufunc(target[index[k]], values[k])`` for k = 0, 1, ... in order.

    Args:
        target: (n, ...), written in place; need not be contiguous.
        index: (k,) integers in [0, n), repeats allowed.
        values: (k, ...), the dtype of `target`.

    Short rows go through ``ufunc.at`` on single elements, which has a fast loop. Longer rows go in rounds: the first
    occurrences of all indices at once, then all the second ones, and so on. (20000 rows of 512 floats into 1000:
    8 ms against 68 ms by ``np.add.at`` on rows, 43 ms by sorting and ``reduceat``.)
    """
    if len(index) == 0 or target.size == 0:
        return
    if state.active and offered("indexing.accumulate_rows", values.size, target, index, values, ufunc) is not None:
        return
    if values.size >= LARGE and target.ndim > 1 and not target.flags.c_contiguous:
        rows = in_rows(target)
        accumulate_rows(rows, index, values, ufunc)
        fill(target, rows)
        return
    width = target[0].size
    if target.ndim == 1:
        ufunc.at(target, index, values)
    elif width < 32 and target.flags.c_contiguous:
        elements = index[:, None] * width + np.arange(width)
        ufunc.at(target.reshape(-1), elements.reshape(-1), values.reshape(-1))
    else:
        for rows in _rounds(index):
            places = index[rows]
            target[places] = ufunc(target[places], values[rows])


def _rounds(index):
    """Split 0..len(index)-1 into arrays within which no index repeats, earlier occurrences in earlier arrays."""
    order = np.argsort(index, kind="stable")
    ranked = index[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    if len(starts) == len(index):
        return [slice(None)]
    runs = np.diff(starts, append=len(index))
    occurrence = np.arange(len(index)) - np.repeat(starts, runs)
    by_round = order[np.argsort(occurrence, kind="stable")]
    return np.split(by_round, np.cumsum(np.bincount(occurrence))[:-1])


def _only_mask(arrays):
    """The mask, if a mask is all that is left of an index; no element is chosen twice then."""
    present = [entry for entry in arrays if entry is not None]
    return present[0] if len(present) == 1 and present[0].dtype.kind == "b" else None


def _expand_masks(arrays):
    """Integer arrays and None for every dimension: a mask becomes the coordinates of its True elements."""
    out = []
    for entry in arrays:
        if entry is None:
            out.append(None)
        else:
            out.extend(entry.nonzero() if entry.dtype.kind == "b" else (entry,))
    return out


def _key(arrays):
    return tuple(slice(None) if entry is None else entry for entry in arrays)


def _result_shape(shape, arrays):
    present = [d for d, entry in enumerate(arrays) if entry is not None]
    try:
        chosen = np.broadcast_shapes(*(arrays[d].shape for d in present))
    except ValueError:
        raise _mismatch(arrays) from None
    first, last = present[0], present[-1]
    rest = [size for d, size in enumerate(shape) if d >= len(arrays) or arrays[d] is None]
    at = first if last - first + 1 == len(present) else 0
    return (*rest[:at], *chosen, *rest[at:])


def _mismatch(arrays):
    shapes = ", ".join(str(list(entry.shape)) for entry in arrays if entry is not None)
    return IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}")


def _fit_result(value, shape):
    ok = value.ndim <= len(shape) and all(
        have in (1, want) for have, want in zip(value.shape[::-1], shape[::-1], strict=False)
    )
    if not ok:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"indexing result of shape {list(shape)}"
        )
    return value


def _in_range(shape, arrays):
    """Whether there are elements to read or write; raises IndexError in PyTorch's words for an index out of range.

    Where the result is empty, indices are not looked at, except that a dimension of size zero has no index at all.
    """
    result = _result_shape(shape, arrays)
    pairs = [(entry, size) for entry, size in zip(arrays, shape, strict=False) if entry is not None]
    if any(size == 0 for _, size in pairs) and all(entry.size for entry, _ in pairs):
        raise IndexError("index is out of bounds for dimension with size 0")
    if 0 in result:
        return False
    for place, (entry, size) in enumerate(pairs):
        bad = (entry < -size) | (entry >= size)
        if bad.any():
            raise IndexError(f"index {entry[bad][0]} is out of bounds for dimension {place} with size {size}")
    return True


def _restrided(input, arrays):
    """Strides of what an indexed read walks over, per dimension of the result: the source, then each index array."""
    present = [d for d, entry in enumerate(arrays) if entry is not None]
    chosen = np.broadcast_shapes(*(arrays[d].shape for d in present))
    rest = [d for d in range(input.ndim) if d >= len(arrays) or arrays[d] is None]
    at = present[0] if present[-1] - present[0] + 1 == len(present) else 0
    strides = [input.strides[d] if input.shape[d] > 1 else 0 for d in rest]
    source = (*strides[:at], *(0 for _ in chosen), *strides[at:])
    operands = [source]
    for d in present:
        index = np.broadcast_to(arrays[d], chosen).strides
        operands.append((*(0 for _ in range(at)), *index, *(0 for _ in strides[at:])))
    return operands


def _laid_out(out, operand_strides):
    """`out` in the memory order in which PyTorch's iterator would have allocated it.

    The iterator sorts the dimensions by the operands' strides, the first operand that can tell two dimensions apart
    deciding, and allocates a result that is dense in that order.
    """
    order = memory_order(out.shape, operand_strides)
    wanted = np.empty([out.shape[d] for d in order], out.dtype).transpose(np.argsort(order))
    if wanted.strides == out.strides:
        return out
    wanted[...] = out
    return wanted


def memory_order(shape, operand_strides):
    """The dimensions from slowest to fastest, as PyTorch's elementwise iterator orders them for given strides."""

    def should_swap(inner, outer):
        for strides in operand_strides:
            a, b = strides[inner], strides[outer]
            if a == 0 or b == 0:
                continue
            if a != b:
                return 1 if a > b else -1
            if shape[inner] > shape[outer]:
                return 1
        return 0

    order = list(range(len(shape) - 1, -1, -1))  # fastest first
    for i in range(1, len(order)):
        moving = i
        for other in range(i - 1, -1, -1):
            verdict = should_swap(order[other], order[moving])
            if verdict > 0:
                order[other], order[moving] = order[moving], order[other]
                moving = other
            elif verdict < 0:
                break
    return order[::-1]


# --------------------------------------------------------------------------------------------------------------------
# One coordinate replaced along one dimension, an index per element: gather, scatter
# --------------------------------------------------------------------------------------------------------------------


def wrap_dim(dim, ndim):
    """`dim` counted from the front; IndexError if there is no such dimension (a 0-d array counts as 1-d)."""
    size = ndim or 1
    if not -size <= dim < size:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], but got {dim})")
    return dim % size


def _as_vector(input):
    return input.reshape(1) if input.ndim == 0 else input


def _check_range(
    index, size, dim, error=IndexError, sentence="index {} is out of bounds for dimension {} with size {}"
):
    """One pass: seen as unsigned, a negative index is a huge one."""
    if index.size and np.maximum.reduce(index.view(np.uint64), None) >= size:
        bad = index[(index < 0) | (index >= size)][0]
        raise error(sentence.format(bad, dim, size))


def _element_index(index, name):
    if index.dtype is INT64 and index.flags.c_contiguous:
        return index
    if index.dtype != np.int64 and index.dtype != np.int32:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    return index.astype(np.int64, order="C", copy=False)


def _positions(shape, dim, index):
    """Positions, in an array of `shape` laid out contiguously, of the elements whose `dim` coordinate is `index`."""
    stride = prod(shape[dim + 1 :])
    found = index if stride == 1 else index * stride
    starts = _starts if index.size <= REMEMBERED else _starts.__wrapped__
    return found + starts(shape, dim, index.shape)


REMEMBERED = 4096  # elements of an index up to which its starts are kept for the next of its shape


@functools.lru_cache(maxsize=64)
def _starts(shape, dim, extents):
    """Positions of the elements whose `dim` coordinate is 0 and whose others go up to `extents`, to be broadcast."""
    stride, starts = 1, np.zeros((1,) * len(shape), np.int64)
    for d in range(len(shape) - 1, -1, -1):
        if d != dim and extents[d] > 1:
            starts = starts + (np.arange(extents[d]) * stride).reshape(-1, *(1,) * (len(shape) - 1 - d))
        stride *= shape[d]
    return starts


def along(input, indices, dim):
    """The elements of `input` at `indices` along `dim`, nothing checked; ``np.take_along_axis``, in half the time."""
    if not input.flags.c_contiguous or input.size == 0:
        return np.take_along_axis(input, indices, dim)
    return input.reshape(-1).take(_positions(input.shape, dim % input.ndim, indices))


def put_along_(target, indices, values, dim):
    """Write `values` at `indices` along `dim` of a contiguous array, nothing checked: the converse of `along`."""
    if not target.size:
        return
    target.reshape(-1)[_positions(target.shape, dim % target.ndim, indices)] = values


def gather(input, dim, index):
    """``out[i][j] = input[index[i][j]][j]`` (for dim 0): one element of `input` per element of `index`.

    Args:
        input: any shape.
        dim: the dimension along which `index` chooses.
        index: int64 or int32, as many dimensions as `input`, in the others no longer than it.

    Returns:
        A contiguous array of the shape of `index`.

    Raises:
        RuntimeError: shapes, dtype or range of `index`.
    """
    dim = wrap_dim(dim, input.ndim)
    if index.size == 0:
        return np.empty(index.shape, input.dtype)
    fast = offered("indexing.gather", index.size, input, dim, index)
    if fast is not None:
        return fast
    index = _element_index(index, "gather")
    source, places = _as_vector(input), _as_vector(index)
    if source.ndim != places.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for d in range(places.ndim):
        if d != dim and places.shape[d] > source.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no larger than "
                f"self {list(input.shape)} apart from dimension {dim}"
            )
    _check_range(places, source.shape[dim], dim, RuntimeError)
    if source.flags.c_contiguous:
        out = source.reshape(-1).take(_positions(source.shape, dim, places))
    else:
        out = source[(*np.ogrid[tuple(map(slice, places.shape))][:dim], places, *_grid_after(places.shape, dim))]
        out = out if out.flags.c_contiguous else out.copy(order="C")
    return out.reshape(index.shape)


def _grid_after(shape, dim):
    return np.ogrid[tuple(map(slice, shape))][dim + 1 :]


def _scatter_operands(input, dim, index, src, name="scatter"):
    """Checked (target as flat copy or view, positions, values) of a scatter; None if the index is empty."""
    dim = wrap_dim(dim, input.ndim)
    if index.size:
        index = _element_index(index, name)
    if isinstance(src, np.ndarray) and src.dtype != input.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if index.size == 0:
        return None
    target, places = _as_vector(input), _as_vector(index)
    if places.ndim != target.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if isinstance(src, np.ndarray):
        if _as_vector(src).ndim != places.ndim:
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        values = _as_vector(src)
    else:
        values = np.asarray(src).astype(input.dtype)
    if values.shape != places.shape or target.shape != places.shape:
        for d, size in enumerate(places.shape):
            if (values.ndim and size > values.shape[d]) or (d != dim and size > target.shape[d]):
                tail = f" and to be no larger size than src {list(src.shape)}" if isinstance(src, np.ndarray) else ""
                raise RuntimeError(
                    f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} "
                    f"apart from dimension {dim}{tail}"
                )
    _check_range(places, target.shape[dim], dim, RuntimeError)
    if values.ndim:
        values = values[tuple(map(slice, places.shape))].reshape(-1)
    return _positions(target.shape, dim, places).reshape(-1), values


def _write_flat(input, write):
    """Run `write` on the elements of `input` as one contiguous vector, whatever its layout."""
    if input.flags.c_contiguous:
        write(input.reshape(-1))
    else:
        flat = input.flatten()
        write(flat)
        input[...] = flat.reshape(input.shape)
    return input


def like_source(input, source):
    """`input` in the memory order of `source`: gaps closed; contiguous if elements of `source` overlap."""
    if input.flags.c_contiguous and source.flags.c_contiguous and input is not source:
        return input
    overlaps = any(stride == 0 and size > 1 for stride, size in zip(source.strides, source.shape, strict=True))
    out = np.empty_like(source, dtype=input.dtype, order="C" if overlaps else "K")
    if out.strides == input.strides and input is not source:
        return input
    out[...] = input
    return out


def dense_copy(input):
    """A copy that keeps the array's memory order (:func:`like_source`)."""
    input = np.asarray(input)
    return like_source(input, input)


def contiguous_copy(input):
    """A copy in row-major order, an array even of a NumPy scalar."""
    return in_rows(np.asarray(input))


def on_a_copy(in_place, copy=contiguous_copy):
    """The function that leaves its first argument alone, from the one that writes into it."""

    @functools.wraps(in_place)
    def function(input, *args, **kwargs):
        return in_place(copy(input), *args, **kwargs)

    function.__name__ = function.__qualname__ = in_place.__name__.removesuffix("_")
    return function


def written_fast(input, dim, index, src, adding):
    """Whether a fast kernel has written, or added, `src` into `input`."""
    return bool(offered("indexing.scatter", index.size, input, wrap_dim(dim, input.ndim), index, src, adding))


def scatter_(input, dim, index, src, reduce=None):
    """``input[index[i][j]][j] = src[i][j]`` (for dim 0), in place.

    Args:
        input: any shape; written.
        dim: the dimension along which `index` chooses.
        index: int64 or int32, as many dimensions as `input`, nowhere longer than `src`.
        src: an array of `input`'s dtype, or a number.
        reduce: None to replace (the last write stays), ``"add"`` or ``"multiply"`` to combine.
    """
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if reduce in (None, "add") and written_fast(input, dim, index, src, reduce == "add"):
        return input
    operands = _scatter_operands(input, dim, index, src)
    if operands is None:
        return input
    positions, values = operands
    if reduce is None:
        return _write_flat(input, lambda flat: flat.__setitem__(positions, values))
    ufunc = np.add if reduce == "add" else np.multiply
    return _write_flat(input, lambda flat: ufunc.at(flat, positions, values))


def scatter_add_(input, dim, index, src):
    """``input[index[i][j]][j] += src[i][j]`` (for dim 0), in place, every repeat counted."""
    if written_fast(input, dim, index, src, True):
        return input
    operands = _scatter_operands(input, dim, index, src)
    if operands is None:
        return input
    return _write_flat(input, lambda flat: np.add.at(flat, *operands))


REDUCTIONS = {"sum": np.add, "prod": np.multiply, "mean": np.add, "amax": np.maximum, "amin": np.minimum}


def neutral(reduce, dtype):
    """The value that a reduction starts from: 0, 1, or the lowest or highest of the dtype."""
    if reduce in ("sum", "mean"):
        return dtype.type(0)
    if reduce == "prod":
        return dtype.type(1)
    highest = reduce == "amin"
    if dtype.kind == "b":
        return np.bool_(highest)
    if dtype.kind in INTEGERS:
        limits = np.iinfo(dtype)
        return dtype.type(limits.max if highest else limits.min)
    return dtype.type(np.inf if highest else -np.inf)


def scatter_reduce_(input, dim, index, src, reduce, include_self=True):
    """Combine ``input[index[i][j]][j]`` with ``src[i][j]`` (for dim 0) by a reduction, in place.

    Args:
        input: any shape; written.
        dim: the dimension along which `index` chooses.
        index: int64 or int32, as many dimensions as `input`, nowhere longer than `src`.
        src: an array of `input`'s dtype.
        reduce: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the values that stand in `input` take part.
    """
    if reduce not in REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if reduce == "sum" and include_self:
        return scatter_add_(input, dim, index, src)
    operands = _scatter_operands(input, dim, index, src)
    if operands is None:
        return input
    positions, values = operands

    def write(flat):
        if not include_self:
            flat[positions] = neutral(reduce, flat.dtype)
        REDUCTIONS[reduce].at(flat, positions, values)
        if reduce == "mean":
            _divide_by_counts(flat, np.bincount(positions, minlength=flat.size) + bool(include_self))

    return _write_flat(input, write)


def _divide_by_counts(sums, counts):
    """Means from sums, in place; integers round down; where nothing was added nothing changes."""
    counts = np.maximum(counts, 1).astype(sums.dtype)
    if sums.dtype.kind in INTEGERS:
        sums //= counts
    else:
        sums /= counts


scatter = on_a_copy(scatter_)
scatter_add = on_a_copy(scatter_add_)
scatter_reduce = on_a_copy(scatter_reduce_)


# --------------------------------------------------------------------------------------------------------------------
# One coordinate replaced along one dimension, an index per slice: index_select, index_add, ...
# --------------------------------------------------------------------------------------------------------------------


def _rows_of(source, places):
    """``source[places]`` for places known to lie within an array in rows."""
    if state.active and source.ndim > 1 and source.size:
        rows = source.reshape(len(source), -1)
        found = offered("indexing.rows", places.size * rows.shape[1], rows, places)
        if found is not None:
            return found.reshape(-1, *source.shape[1:])
    return source.take(places, axis=0)


def index_select(input, dim, index):
    """The slices of `input` along `dim` that `index` (a vector, int64 or int32, not negative) names.

    Returns:
        A new contiguous array with ``out.shape[dim] == len(index)``.

    Raises:
        IndexError: `index` is no vector or points outside.
    """
    dim = wrap_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if input.ndim == 0 and index.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.size} value(s)")
    if index.dtype != np.int64 and index.dtype != np.int32:
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    places = index.reshape(-1).astype(np.int64, copy=False)
    source = _as_vector(input)
    _check_range(places, source.shape[dim], dim, IndexError, "index out of range in self")
    if source.flags.c_contiguous:
        out = _rows_of(source, places) if dim == 0 else source.take(places, axis=dim)
    else:
        out = source[(*(slice(None),) * dim, places)].copy(order="C")
    return out.reshape(()) if input.ndim == 0 else out


def _slice_operands(input, dim, index, source, name, range_error):
    """(target, index, source) with `dim` moved to the front, checked alike for index_add and index_reduce."""
    dim = wrap_dim(dim, input.ndim)
    if index.dtype != np.int64 and index.dtype != np.int32:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {scalar_name(index)}")
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: Long")
    if source.dtype != input.dtype:
        raise RuntimeError(
            f"{name}(): self ({scalar_name(input)}) and source ({scalar_name(source)}) must have the same scalar type"
        )
    count = _as_vector(source).shape[dim] if dim < max(source.ndim, 1) else 1
    if index.size != count and source.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if index.size != count:
        raise RuntimeError(
            f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim): ({count}), for dim: {dim}"
        )
    target, source_ = _as_vector(input), _as_vector(source)
    if (input.ndim > 0 and source.ndim != input.ndim) or any(
        target.shape[d] != source_.shape[d] for d in range(target.ndim) if d != dim
    ):
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    places = index.reshape(-1).astype(np.int64, copy=False)
    _check_range(places, target.shape[dim], dim, *range_error)
    return np.moveaxis(target, dim, 0), places, np.moveaxis(source_, dim, 0)


def index_add_(input, dim, index, source, alpha=1):
    """Add ``alpha * source`` slice by slice to the slices of `input` that `index` names, in place.

    Args:
        input: any shape; written.
        dim: the dimension of the slices.
        index: (k,) int64 or int32, repeats counted.
        source: the shape of `input` but k along `dim`; its dtype.
        alpha: a number.
    """
    target, places, rows = _slice_operands(input, dim, index, source, "index_add_", (RuntimeError,))
    if alpha != 1:
        rows = (rows * input.dtype.type(alpha)).astype(input.dtype, copy=False)
    accumulate_rows(target, places, rows)
    return input


def index_reduce_(input, dim, index, source, reduce, include_self=True):
    """Combine the slices of `input` that `index` names with those of `source` by a reduction, in place.

    Args:
        input, dim, index, source: as :func:`index_add_`.
        reduce: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the values that stand in `input` take part.
    """
    if reduce not in REDUCTIONS or reduce == "sum":
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    target, places, rows = _slice_operands(
        input, dim, index, source, "index_reduce_", (IndexError, "index out of range in self")
    )
    if not include_self:
        target[places] = neutral(reduce, input.dtype)
    accumulate_rows(target, places, rows, REDUCTIONS[reduce])
    if reduce == "mean":
        counts = np.bincount(places, minlength=len(target)) + bool(include_self)
        _divide_by_counts(target, counts.reshape(-1, *(1,) * (target.ndim - 1)))
    return input


def index_copy_(input, dim, index, source):
    """Copy the slices of `source` to the slices of `input` that `index` names, in place."""
    dim = wrap_dim(dim, input.ndim)
    if index.dtype != np.int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {scalar_name(index)}")
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if source.dtype != input.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, "
            f"but got (self) {scalar_name(input)} and (source) {scalar_name(source)}"
        )
    if source.ndim and input.ndim and source.ndim != input.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. "
            f"Source dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    if source.ndim == 0 and index.size != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.size})")
    target, rows = _as_vector(input), _as_vector(source)
    if source.ndim and rows.ndim == target.ndim:
        here, there = ([s for d, s in enumerate(a.shape) if d != dim] for a in (target, rows))
        if here != there:
            raise RuntimeError(
                "index_copy_(): Source/destination tensor must have same slice shapes. "
                f"Destination slice shape: {here} at dimension {dim} and source slice shape: {there} at dimension 0."
            )
        if index.size != rows.shape[dim]:
            raise IndexError(
                f"index_copy_(): Number of indices ({index.size}) should be equal to source.size(dim) "
                f"({rows.shape[dim]})"
            )
    places = index.reshape(-1)
    _check_range(
        places,
        target.shape[dim],
        dim,
        IndexError,
        "index_copy_(): index {} is out of bounds for dimension {} with size {}",
    )
    target[(*(slice(None),) * dim, places)] = rows
    return input


def index_fill_(input, dim, index, value):
    """Fill the slices of `input` that `index` (int64, may be negative) names with a number, in place."""
    dim = wrap_dim(dim, input.ndim)
    if index.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if np.ndim(value) > 0:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, "
            f"but got tensor with {np.ndim(value)} dimension(s)."
        )
    if input.dtype.kind != "c" and isinstance(value, complex):
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    target, places = _as_vector(input), index.reshape(-1)
    if places.size and np.maximum.reduce(places.view(np.uint64)) >= target.shape[dim]:  # too large, or negative
        bad = (places < -target.shape[dim]) | (places >= target.shape[dim])
        if bad.any():
            raise IndexError(
                f"index {places[bad][0]} is out of bounds for dimension {dim} with size {target.shape[dim]}"
            )
    target[(*(slice(None),) * dim, places)] = np.asarray(value).astype(input.dtype)
    return input


index_add = on_a_copy(index_add_)
index_copy = on_a_copy(index_copy_)
index_reduce = on_a_copy(index_reduce_)
index_fill = on_a_copy(index_fill_, dense_copy)


# --------------------------------------------------------------------------------------------------------------------
# The array seen as one vector: take, put_; and NumPy's take_along_axis
# --------------------------------------------------------------------------------------------------------------------


def _vector_index(input, index, name):
    if index.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {scalar_name(index)}")
    if input.size == 0 and index.size:
        raise IndexError(f"{name}(): tried to take from an empty tensor")
    flat = index.reshape(-1)
    if not flat.size or np.maximum.reduce(flat.view(np.uint64)) < input.size:
        return flat
    lowest, highest = int(flat.min()), int(flat.max())
    if lowest < -input.size or highest >= input.size:
        bad = flat[(flat < -input.size) | (flat >= input.size)][0]
        raise IndexError(f"out of range: tried to access index {bad} on a tensor of {input.size} elements.")
    return np.where(flat < 0, flat + input.size, flat) if lowest < 0 else flat


def take(input, index):
    """The elements of `input`, seen as one vector, that `index` (int64, any shape, may be negative) names."""
    return input.reshape(-1).take(_vector_index(input, index, "take")).reshape(index.shape)


def put_elements_(input, index, source, accumulate=False):
    """Write `source` at the places `index` (int64) of `input`, seen as one vector, in place (``Tensor.put_``)."""
    if source.dtype != input.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, "
            f"but got self.dtype = {scalar_name(input)} and source.dtype = {scalar_name(source)}"
        )
    if index.dtype == np.int64 and source.size != index.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.size}, index.numel() = {index.size}"
        )
    positions, values = _vector_index(input, index, "put_"), source.reshape(-1)
    if accumulate:
        return _write_flat(input, lambda flat: np.add.at(flat, positions, values))
    return _write_flat(input, lambda flat: flat.__setitem__(positions, values))


put_elements = on_a_copy(put_elements_, dense_copy)


def take_along_dim(input, indices, dim=None):
    """:func:`gather` after broadcasting `input` and `indices` in every dimension but `dim` (flattened if None)."""
    if indices.dtype != np.int64:
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {scalar_name(indices)}")
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    input, indices, dim = along_operands(input, indices, dim)
    return gather(input, dim, from_the_front(indices, input.shape[dim]))


def from_the_front(index, size):
    """Indices that count from the end, made to count from the front."""
    return np.where(index < 0, index + size, index) if index.size and np.minimum.reduce(index, None) < 0 else index


def along_operands(input, indices, dim):
    """`input` and `indices` broadcast against each other in every dimension but `dim`."""
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    dim = wrap_dim(dim, input.ndim)
    if input.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if input.shape[:dim] == indices.shape[:dim] and input.shape[dim + 1 :] == indices.shape[dim + 1 :]:
        return input, indices, dim
    try:
        shape = np.broadcast_shapes(*(a.shape[:dim] + (1,) + a.shape[dim + 1 :] for a in (input, indices)))
    except ValueError:
        raise RuntimeError(
            f"The size of tensor a {list(input.shape)} must match the size of tensor b {list(indices.shape)} "
            f"at every dimension but {dim}"
        ) from None
    both = [np.broadcast_to(a, (*shape[:dim], a.shape[dim], *shape[dim + 1 :])) for a in (input, indices)]
    return (*both, dim)


# --------------------------------------------------------------------------------------------------------------------
# Masks
# --------------------------------------------------------------------------------------------------------------------


def _broadcast_with_mask(input, mask):
    try:
        return np.broadcast_shapes(input.shape, mask.shape)
    except ValueError:
        raise RuntimeError(_size_mismatch(mask.shape, input.shape)) from None


def _size_mismatch(a, b):
    ndim = max(len(a), len(b))
    a_, b_ = ((1,) * (ndim - len(s)) + tuple(s) for s in (a, b))
    d = next(d for d in range(ndim - 1, -1, -1) if a_[d] != b_[d] and 1 not in (a_[d], b_[d]))
    return f"The size of tensor a ({a_[d]}) must match the size of tensor b ({b_[d]}) at non-singleton dimension {d}"


def _broadcast_in_place(input, mask):
    if mask.shape == input.shape:
        return mask
    shape = _broadcast_with_mask(input, mask)
    if shape != input.shape:
        raise RuntimeError(f"output with shape {list(input.shape)} doesn't match the broadcast shape {list(shape)}")
    return np.broadcast_to(mask, shape)


def _boolean(mask, sentence):
    """Raise RuntimeError for a mask that is none, whose type stands for the braces of the sentence."""
    if mask.dtype.kind != "b":
        raise RuntimeError(sentence.format(mask.dtype, scalar_name(mask)))


def masked_fill_(input, mask, value):
    """Set the elements of `input` where `mask` (boolean, broadcast to `input`) is True to a number, in place."""
    _boolean(mask, "masked_fill_ only supports boolean masks, but got mask with dtype {0}")
    value = np.asarray(value)
    if value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, "
            f"but got tensor with {value.ndim} dimension(s)."
        )
    fill_where(input, _broadcast_in_place(input, mask), value.astype(input.dtype, copy=False))
    return input


def fill_where(target, mask, value):
    """``target[mask] = value`` for a mask of the same shape and a 0-d value of the same dtype.

    Without branches for many elements: a mask that no processor can predict costs 4 ns an element by ``copyto``, 0.4 ns
    by flipping, under the mask, the bits in which the element and the value differ.
    """
    bits = _BITS.get(target.itemsize)
    if target.size < 2048 or bits is None or not target.flags.c_contiguous:
        np.copyto(target, value, where=mask)
        return
    old, lanes = target.view(bits), (-mask.view(np.int8)).astype(bits)
    lanes &= old ^ value.view(bits)
    old ^= lanes


_BITS = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


@by_size
def masked_fill(input, mask, value):
    """`input` with `value` where `mask` is True; the two broadcast against each other."""
    if mask.shape != input.shape:
        input = np.broadcast_to(input, _broadcast_with_mask(input, mask))
    return masked_fill_(contiguous_copy(input), mask, value)


def masked_select(input, mask):
    """The elements of `input` where `mask` is True, as a vector; the two broadcast against each other."""
    _boolean(mask, "masked_select: expected BoolTensor for mask")
    if input.shape == mask.shape:
        return input[mask]
    shape = _broadcast_with_mask(input, mask)
    return np.broadcast_to(input, shape)[np.broadcast_to(mask, shape)]


def masked_scatter_(input, mask, source):
    """Set the elements of `input` where `mask` is True to the elements of `source`, in their order, in place."""
    _boolean(mask, "masked_scatter_ only supports boolean masks, but got mask with dtype {1}")
    if source.dtype != input.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{scalar_name(input)} and {scalar_name(source)}"
        )
    mask = _broadcast_in_place(input, mask)
    count = np.count_nonzero(mask)
    if count > source.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    input[mask] = source.reshape(-1)[:count]
    return input


def masked_scatter(input, mask, source):
    """`input` with its elements where `mask` is True replaced by the elements of `source`, in their order."""
    if input.shape != mask.shape:
        input = np.broadcast_to(input, _broadcast_with_mask(input, mask))
    return masked_scatter_(contiguous_copy(input), mask, source)


def nonzero(input, as_tuple=False):
    """The coordinates of the elements that are not zero, in row-major order.

    Returns:
        int64 of shape (count, array.ndim), its columns contiguous; or with `as_tuple` a tuple of vectors, one per
        dimension (a 0-d array counts as 1-d then).
    """
    if as_tuple:
        return tuple(np.array(_as_vector(input).nonzero()))
    if input.ndim == 0:
        return np.empty((int(bool(input)), 0), np.int64)
    return np.array(input.nonzero()).T


def where(condition, input, other):
    """Elements of `input` where `condition` is True, elsewhere of `other`; all three broadcast together."""
    if condition.dtype == np.uint8:
        condition = condition != 0
    _boolean(
        condition,
        "where expected condition to be a boolean tensor, but got a tensor with dtype {1}",
    )
    return np.where(condition, input, other)


# --------------------------------------------------------------------------------------------------------------------
# Embeddings
# --------------------------------------------------------------------------------------------------------------------


def embedding(weight, indices):
    """Rows of a table: ``out[...] = weight[indices[...]]``.

    Args:
        weight: (n, d).
        indices: int64 or int32 of any shape, in [0, n).

    Returns:
        A contiguous array of shape ``indices.shape + (d,)``.
    """
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    places = _embedding_indices(indices, len(weight))
    if weight.flags.c_contiguous:
        return weight.take(places, axis=0)
    return weight[places].copy(order="C")


def _embedding_indices(indices, size):
    if indices.dtype is not INT64 and indices.dtype != np.int32:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            f"but got {indices.dtype} instead (while checking arguments for embedding)"
        )
    places = indices.astype(np.int64, order="C", copy=False)
    _check_range(places, size, 0, IndexError, "index out of range in self")
    return places


def embedding_gradient(cotangent, indices, num_weights, padding_idx=-1, scale_grad_by_freq=False):
    """The cotangent of the table given that of the rows.

    Args:
        cotangent: ``indices.shape + (d,)``.
        indices: int64 or int32 of any shape.
        num_weights: n, the number of rows of the table.
        padding_idx: the row that gets no gradient (negative: none such).
        scale_grad_by_freq: divide each row's gradient by the number of times that it was used.

    Returns:
        (n, d).
    """
    width = cotangent.shape[-1]
    places = indices.reshape(-1).astype(np.int64, copy=False)
    rows = cotangent.reshape(-1, width)
    if scale_grad_by_freq:
        counts = np.bincount(places, minlength=num_weights)
        rows = rows / counts[places, None].astype(rows.dtype)
    if padding_idx >= 0:
        kept = places != padding_idx
        places, rows = places[kept], rows[kept]
    out = np.zeros((num_weights, width), cotangent.dtype)
    accumulate_rows(out, places, rows)
    return out


def embedding_renorm_(weight, indices, max_norm, norm_type=2.0):
    """Shrink, in place, the rows of `weight` that `indices` names to a norm of at most `max_norm`."""
    rows = np.unique(_embedding_indices(indices, len(weight)))
    chosen = weight[rows].astype(np.float64)
    norms = np.linalg.norm(chosen, ord=norm_type, axis=1)
    large = norms > max_norm
    scale = max_norm / (norms[large] + 1e-7)  # the 1e-7 is PyTorch's
    weight[rows[large]] = (chosen[large] * scale[:, None]).astype(weight.dtype)
    return weight
