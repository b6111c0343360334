"""Views and rearrangements of arrays. A function documented as a view shares memory with its input."""

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided as strided_anywhere

from wengert.kernels.choices import offered
from wengert.kernels.copies import LARGE, in_rows, joined, rolled
from wengert.kernels.indexing import put_along_
from wengert.kernels.reductions import axes_of, axis_of


def resolve_shape(shape, size):
    """`shape` with a -1 worked out; raises RuntimeError unless it holds `size` elements."""
    shape = tuple(map(int, shape))
    unknown = shape.count(-1)
    if unknown > 1:
        raise RuntimeError("only one dimension can be inferred")
    if shape and min(shape) < -1:
        i, n = next((i, n) for i, n in enumerate(shape) if n < -1)
        raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(shape)}")
    known = math.prod(shape) * (-1) ** unknown
    if unknown:
        if known == 0:
            if size == 0:
                raise RuntimeError(
                    f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension "
                    "size -1 "
                    "can be any value and is ambiguous"
                )
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        if size % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        place = shape.index(-1)
        shape = shape[:place] + (size // known,) + shape[place + 1 :]
    elif known != size:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return shape


def view(input, size):
    """The same elements in another shape; a view."""
    if input.flags.c_contiguous:
        try:
            return input.reshape(size)
        except ValueError:
            pass  # a shape that does not fit, explained below
    elif 1 not in input.shape and 1 not in size:  # whose strides can't be chosen
        try:
            found = input.reshape(size)
        except ValueError:
            found = None
        if found is not None and np.may_share_memory(found, input):
            return found
    size = resolve_shape(size, input.size)
    strides = view_strides(input, size)
    if strides is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return window(input, size, strides)


def strided_window(array, shape, strides, writeable=True):
    """A view of this shape with these strides in bytes, from the first element of `array` and within its extent.

    NumPy's `as_strided` looks beyond an array's extent too, at ten times the price.
    """
    if not array.flags.c_contiguous or not array.size:
        return strided_anywhere(array, shape, strides, writeable=writeable)
    found = np.ndarray(shape, array.dtype, array, 0, strides)
    if not writeable:
        found.flags.writeable = False
    return found


def window(array, shape, strides):
    """A view of `array` with this shape and these strides in bytes, from its first element; writable iff `array` is."""
    if array.flags.c_contiguous and array.size:
        return array.reshape(shape)
    return strided_window(array, shape, strides, writeable=array.flags.writeable)


def view_strides(array, shape):
    """Strides in bytes for seeing `array` in `shape` without a copy, or None if that can't be done."""
    if array.flags.c_contiguous:
        return contiguous_strides(shape, array.itemsize)
    if array.size == 0:
        return contiguous_strides(shape, array.itemsize)
    old = [(n, s) for n, s in zip(array.shape, array.strides, strict=True) if n != 1]
    chunks = []  # maximal runs of dimensions that lie like one
    for n, s in old:
        if chunks and chunks[-1][1] == n * s:
            chunks[-1] = (chunks[-1][0] * n, s)
        else:
            chunks.append((n, s))
    strides = [0] * len(shape)
    i = len(shape) - 1
    for extent, step in reversed(chunks):
        filled = 1
        while i >= 0 and (filled < extent or shape[i] == 1):
            strides[i] = step * filled
            filled *= shape[i]
            i -= 1
        if filled != extent:
            return None
    while i >= 0:
        strides[i] = strides[i + 1] * shape[i + 1] if i + 1 < len(shape) else array.itemsize
        i -= 1
    return tuple(strides)


def contiguous_strides(shape, itemsize):
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def reshape_to(input, shape):
    """The same elements in another shape, copied only if need be."""
    apart = input.size >= LARGE and not input.flags.c_contiguous
    if apart and view_strides(input, resolve_shape(shape, input.size)) is None:
        input = in_rows(input)
    return input.reshape(shape)


def expand(input, size):
    """Dimensions of one element repeated without a copy; -1 keeps a dimension; a view."""
    shape = input.shape
    extra = len(size) - len(shape)
    if extra < 0:
        raise cannot_expand(shape, size)
    full, strides = list(size), [0] * extra + list(input.strides)
    for i, have in enumerate(shape, extra):
        n = full[i]
        if n == -1:
            full[i] = have
        elif n != have:
            if have != 1 or n < 0:
                raise cannot_expand(shape, size)
            strides[i] = 0
    for i in range(extra - 1, -1, -1):
        if full[i] < 0:
            raise cannot_expand(shape, size)
        if full[i] == 1:  # a new dimension of one element steps over all that is inside of it
            strides[i] = full[i + 1] * strides[i + 1] if i + 1 < len(full) else input.itemsize
    # One element in several places may be read, not written; without such a place it is a view like any other.
    repeats = 0 in strides and 0 not in full and any(s == 0 and n > 1 for s, n in zip(strides, full, strict=True))
    return strided_window(input, tuple(full), tuple(strides), not repeats and input.flags.writeable)


def cannot_expand(shape, size):
    """The error for a shape that can't be seen in this size."""
    extra = len(size) - len(shape)
    if extra < 0:
        return RuntimeError(
            f"expand(torch.FloatTensor{{{list(shape)}}}, size={list(size)}): the number of sizes provided "
            f"({len(size)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    for i, n in enumerate(size[:extra]):
        if n < 0:
            return RuntimeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
    i, n, have = next((i, n, m) for i, (n, m) in enumerate(zip(size[extra:], shape, strict=True), extra)
                      if n not in (-1, m) and (m != 1 or n < 0))  # fmt: skip
    if have == 1:
        return RuntimeError(f"invalid size {n} in expand")
    return RuntimeError(
        f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton "
        f"dimension {i}.  Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
    )


def expand_to(input, shape):
    if input.shape == tuple(shape):
        return input
    if not input.shape:  # what np.broadcast_to does, without its preparations
        return np.ndarray(shape, input.dtype, np.asarray(input), 0, (0,) * len(shape))
    return np.broadcast_to(input, shape)


def transpose(input, dim0, dim1):
    a, b = axis_of(dim0, input.ndim), axis_of(dim1, input.ndim)
    return input.swapaxes(a, b) if input.ndim else input[...]


def permute(input, dims):
    try:
        return input.transpose(dims)
    except ValueError:
        pass  # what is wrong is said below
    if len(dims) != input.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering "
            f"of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(dims)}"
        )
    for d in dims:
        axis_of(d, input.ndim)
    raise RuntimeError("permute(): duplicate dims are not allowed.")


def t(input):
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input.T


def unsqueeze(input, dim):
    limit = input.ndim + 1
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    axis = dim + limit if dim < 0 else dim
    # PyTorch's stride of the new dimension is that of a dimension of one element before its neighbour.
    stride = input.shape[axis] * input.strides[axis] if axis < input.ndim else input.itemsize
    shape = input.shape[:axis] + (1,) + input.shape[axis:]
    strides = input.strides[:axis] + (stride,) + input.strides[axis:]
    return strided_window(input, shape, strides, writeable=input.flags.writeable)


def squeeze(input, dim=None):
    if dim is None:
        axes = tuple(i for i, n in enumerate(input.shape) if n == 1)
    else:
        dims = (dim,) if not isinstance(dim, (tuple, list)) else dim
        axes = tuple(a for a in axes_of(tuple(dims), input.ndim) if input.shape[a] == 1) if dims else ()
    return input.squeeze(axes) if axes else input[...]


def select(input, dim, index):
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, input.ndim)
    n = input.shape[axis]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {axis}"
        )
    return input[(slice(None),) * axis + (index, ...)]


def slice_along(input, dim=0, start=None, end=None, step=1):
    if input.ndim == 0:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    axis = axis_of(dim, input.ndim)
    n = input.shape[axis]
    start, end, _ = slice(start, end, 1).indices(n)
    return input[(slice(None),) * axis + (slice(start, max(start, end), step),)]


def narrow(input, dim, start, length):
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, input.ndim)
    n = input.shape[axis]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start = start + n if start < 0 else start
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return input[(slice(None),) * axis + (slice(start, start + length),)]


def pad_slice(input, shape, dim, start, end, step):
    """Zeros of `shape` with `input` in the given slice: the adjoint of `slice_along`."""
    axis = axis_of(dim, len(shape))
    start, end, _ = slice(start, end, 1).indices(shape[axis])
    result = np.zeros(shape, input.dtype)
    result[(slice(None),) * axis + (slice(start, max(start, end), step),)] = input
    return result


def pad_select(input, shape, dim, index):
    """Zeros of `shape` with `input` at `index` of `dim`: the adjoint of `select`."""
    result = np.zeros(shape, input.dtype)
    result[(slice(None),) * axis_of(dim, len(shape)) + (index, ...)] = input
    return result


def diagonal(input, offset=0, dim1=0, dim2=1):
    a, b = axis_of(dim1, input.ndim), axis_of(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    view = np.diagonal(input, offset, a, b)
    view.flags.writeable = input.flags.writeable  # NumPy's diagonals are read-only, PyTorch's are not
    return view


def pad_diagonal(input, shape, offset, dim1, dim2):
    """Zeros of `shape` with `input` on a diagonal: the adjoint of `diagonal`."""
    result = np.zeros(shape, input.dtype)
    diagonal(result, offset, dim1, dim2)[...] = input
    return result


def unfold(input, dimension, size, step):
    """All windows of `size` elements along `dimension`, `step` apart, as a new last dimension; a view."""
    if input.ndim == 0:
        axis_of(dimension, 0)
        if size > 1:
            raise RuntimeError(f"maximum size for tensor at dimension 0 is 1 but size is {size}")
        return strided_window(input, (size,), (input.itemsize,), writeable=input.flags.writeable)
    axis = axis_of(dimension, input.ndim)
    n = input.shape[axis]
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {axis} is {n} but size is {size}")
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    shape = (*input.shape[:axis], (n - size) // step + 1, *input.shape[axis + 1 :], size)
    stride = input.strides[axis]
    strides = (*input.strides[:axis], stride * step, *input.strides[axis + 1 :], stride)
    return strided_window(input, shape, strides, writeable=input.flags.writeable)


def fold_windows(input, shape, dimension, size, step):
    """The adjoint of `unfold`: overlapping windows added up."""
    result = np.zeros(shape, input.dtype)
    if not shape:
        return input.reshape(())
    axis = axis_of(dimension, len(shape))
    target = np.moveaxis(result, axis, -1)
    source = np.moveaxis(input, axis, -2)
    for k in range(source.shape[-1]):
        target[..., k : k + (source.shape[-2] - 1) * step + 1 : step] += source[..., k]
    return result


def real(input):
    return input.real if input.dtype.kind == "c" else input


def imag(input):
    if input.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return input.imag


def complex_of(real, imag):
    """The complex array with these parts."""
    dtype = np.complex64 if real.dtype.itemsize <= 4 else np.complex128
    if real.shape == imag.shape and 0 not in real.strides:
        result = np.empty_like(real, dtype)  # laid out as the real part is
    else:
        result = np.empty(np.broadcast_shapes(real.shape, imag.shape), dtype)
    result.real, result.imag = real, imag
    return result


def view_as_real(input):
    if input.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input.flags.c_contiguous and input.size:
        half = np.dtype(np.float32 if input.itemsize == 8 else np.float64)
        found = np.ndarray((*input.shape, 2), half, input, 0, (*input.strides, half.itemsize))
        found.flags.writeable = input.flags.writeable
        return found
    half = input.real
    shape, strides = (*input.shape, 2), (*input.strides, half.itemsize)
    return strided_anywhere(half, shape, strides, writeable=input.flags.writeable)


def view_as_complex(input):
    if input.dtype not in (np.float32, np.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{input.dtype}"
        )
    if input.ndim == 0:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if input.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if input.strides[-1] != input.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % (2 * input.itemsize) for s, n in zip(input.strides[:-1], input.shape[:-1], strict=True) if n > 1):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    target = np.dtype(np.complex64 if input.itemsize == 4 else np.complex128)
    flat = strided_window(
        input, (*input.shape[:-1], 2), (*input.strides[:-1], input.itemsize), writeable=input.flags.writeable
    )
    return flat.view(target)[..., 0] if flat.size else np.empty(input.shape[:-1], target)


def flip(input, dims):
    dims = tuple(dims)
    return in_rows(np.flip(input, axes_of(dims, input.ndim)) if dims and input.ndim else input)


def roll(input, shifts, dims=None):
    if isinstance(shifts, (tuple, list)) and not shifts:
        raise RuntimeError("`shifts` required")
    if dims is None or dims == ():
        if isinstance(shifts, (tuple, list)):
            if len(shifts) != 1:
                raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:0")
            shifts = shifts[0]
        return rolled(input.reshape(-1), shifts, 0).reshape(input.shape)
    shifts = (shifts,) if not isinstance(shifts, (tuple, list)) else tuple(shifts)
    dims = (dims,) if not isinstance(dims, (tuple, list)) else tuple(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not input.size:  # PyTorch looks at no dimension of a tensor without elements
        return input.copy()
    for shift, axis in zip(shifts, [axis_of(d, input.ndim) for d in dims], strict=True):
        input = rolled(input, shift, axis)
    return input


def repeat(input, repeats):
    repeats = tuple(repeats)
    if len(repeats) < input.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(r < 0 for r in repeats):
        raise RuntimeError("Trying to create tensor with negative dimension")
    return np.tile(input, repeats)


def sum_repeats(input, shape, repeats):
    """The adjoint of `repeat`: the copies added up."""
    padded = (1,) * (len(repeats) - len(shape)) + tuple(shape)
    if 0 in repeats:
        return np.zeros(shape, input.dtype)
    split = [n for pair in zip(repeats, padded, strict=True) for n in pair]
    return input.reshape(split).sum(axis=tuple(range(0, len(split), 2))).reshape(shape)


def tril(input, diagonal=0):
    _refuse_vector(input, "tril")
    if input.size > SMALL:
        found = offered("shape.triangle", input.size, input, int(diagonal), True)
        return np.tril(input, diagonal) if found is None else found
    return _kept(input, below(*input.shape[-2:], int(diagonal)))


def triu(input, diagonal=0):
    _refuse_vector(input, "triu")
    if input.size > SMALL:
        found = offered("shape.triangle", input.size, input, int(diagonal), False)
        return np.triu(input, diagonal) if found is None else found
    return _kept(input, ~below(*input.shape[-2:], int(diagonal) - 1))


SMALL = 4096  # elements up to which the mask of a triangle is remembered


@lru_cache(maxsize=64)
def below(rows, columns, diagonal):
    """Which elements of a matrix lie on and below a diagonal."""
    return np.tri(rows, columns, diagonal, bool)


def _kept(input, mask):
    return np.where(mask, input, np.zeros((), input.dtype))


def _refuse_vector(input, name):
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


def cat(tensors, dim=0):
    """Arrays joined along a dimension they have; 1-D arrays of no elements are left out, as PyTorch does."""
    first = tensors[0]
    if 0 < first.ndim < 4 and first.size and -first.ndim <= dim < first.ndim:
        try:
            return joined(tensors, dim)
        except ValueError:
            pass  # shapes that don't fit, explained below, or arrays to be left out
    some = [a for a in tensors if a.shape != (0,)]
    if not some:
        return tensors[0].copy()
    ndim = some[0].ndim
    if ndim == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    axis = axis_of(dim, ndim)
    for position, array in enumerate(tensors):
        if array.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {position}) cannot be concatenated")
        if array.shape == (0,):
            continue
        if array.ndim != ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {ndim} and {array.ndim}")
        for i, (a, b) in enumerate(zip(some[0].shape, array.shape, strict=True)):
            if i != axis and a != b:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {a} but got size {b} for "
                    "tensor "
                    f"number {position} in the list."
                )
    last = (0, *range(2, ndim), 1)
    if ndim in (4, 5) and all(lies(array, last) for array in some):  # images stored channel by channel stay so
        return joined([array.transpose(last) for array in some], last.index(axis)).transpose(np.argsort(last))
    return joined(some, axis)


def lies(array, order):
    """Whether the elements lie in this order of dimensions and in no other."""
    return not array.flags.c_contiguous and array.transpose(order).flags.c_contiguous


def stack(tensors, dim=0):
    """Arrays of one shape as the slices of a new dimension."""
    shape = tensors[0].shape
    shapes = [array.shape for array in tensors]
    if shapes.count(shape) != len(shapes):
        position = next(position for position, other in enumerate(shapes) if other != shape)
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
            f"{list(shapes[position])} at entry {position}"
        )
    axis = axis_of(dim, len(shape) + 1)
    if not axis and shape:  # one after the other in memory
        return joined(tensors, 0).reshape(len(tensors), *shape)
    within = (slice(None),) * axis + (None,)
    return joined([array[within] for array in tensors], axis)


def put_along(input, indices, shape, dim):
    """Zeros of `shape` with the elements of `input` at `indices` along `dim` (no two alike in one line)."""
    result = np.zeros(shape, input.dtype)
    put_along_(result, indices, input, axis_of(dim, len(shape)))
    return result


# --- windows on memory ------------------------------------------------------------------------------------------------


def root_of(array):
    """The array that owns the memory of `array`, or the first that got it from something that is no array: its storage.
    """
    while True:
        base = array.base
        if isinstance(base, np.ndarray):
            array = base
        elif isinstance(
            getattr(base, "base", None), np.ndarray
        ):  # what `as_strided` puts between a window and its memory
            array = base.base
        else:
            return array


def address(array):
    return array.__array_interface__["data"][0]


def as_strided(input, size, stride, storage_offset=None):
    """A window of this size and stride (in elements) on the storage of `input`; returns it and its geometry."""
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(s < 0 for s in stride):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: " + str(list(stride))
        )
    item = input.itemsize
    root = root_of(input)
    start = address(root)
    first = (address(input) - start) // item if storage_offset is None else storage_offset
    available = extent_of(root) // item
    reach = first + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + 1 if 0 not in size else 0
    if reach > available:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {first}, and itemsize {item} "
            "requiring a "
            f"storage size of {reach * item} are out of bounds for storage of size {available * item}"
        )
    strides = tuple(s * item for s in stride)
    geometry = (input.shape, input.strides, size, strides, first * item - (address(input) - start), item)
    if root.flags.c_contiguous and root.dtype is input.dtype and 0 not in size:
        view = np.ndarray(size, root.dtype, root, first * item, strides)
        view.flags.writeable = input.flags.writeable
        return view, geometry
    raw = (
        strided_anywhere(
            root.reshape(-1)[:1] if root.size else root, (available,), (item,), writeable=input.flags.writeable
        )
        if root.itemsize == item and root.dtype == input.dtype
        else _raw(root, available, input)
    )
    view = strided_window(raw[first:] if first < available else raw[:0], size, strides, writeable=input.flags.writeable)
    return view, geometry


def _raw(root, available, like):
    """The storage of `root` as a line of elements of another dtype."""
    line = strided_anywhere(root.view(np.uint8).reshape(-1)[:1], (available * like.itemsize,), (1,))
    return line.view(like.dtype)


def extent_of(root):
    """Bytes from the first element of a storage to the end of its last."""
    if root.size == 0:
        return 0
    return sum((n - 1) * s for n, s in zip(root.shape, root.strides, strict=True)) + root.itemsize


def places(shape, strides, item):
    """How far each element of an array lies behind the first, in elements."""
    found = np.zeros(shape, np.int64)
    for axis, (n, s) in enumerate(zip(shape, strides, strict=True)):
        found += (np.arange(n) * (s // item)).reshape((-1,) + (1,) * (len(shape) - axis - 1))
    return found


def inhabitants(shape, strides, item):
    """The places of an array's elements, and the row-major number of the first element in each place: -1 for none."""
    taken = places(shape, strides, item)
    numbers = np.full(int(taken.max()) + 2 if taken.size else 1, -1, np.int64)
    numbers[taken.reshape(-1)[::-1]] = np.arange(taken.size)[::-1]
    return taken, numbers


def positions(geometry):
    """For each element of a strided window, the row-major number of the element of the input that lies there."""
    shape, strides, size, window_strides, offset, item = geometry
    _, numbers = inhabitants(shape, strides, item)
    wanted = places(size, window_strides, item)
    wanted += offset // item
    wanted[(wanted < 0) | (wanted >= len(numbers))] = len(numbers) - 1
    return numbers[wanted]


def shared(geometry):
    """(the number of the first element in the place of each element of the input, how many elements are in it)."""
    taken, numbers = inhabitants(geometry[0], geometry[1], geometry[-1])
    first = numbers[taken]
    return first, np.bincount(first.reshape(-1), minlength=first.size)[first]


def overlaps(geometry):
    """Whether some elements of the input share their place in memory, as those of an expanded tensor do."""
    taken, numbers = inhabitants(geometry[0], geometry[1], geometry[-1])
    return np.count_nonzero(numbers >= 0) < taken.size


def share(input, geometry):
    """What the first element in each place has, divided among all in it."""
    first, count = shared(geometry)
    return (input.reshape(-1)[first] / count).astype(input.dtype, copy=False)


def collect(input, geometry):
    """The adjoint of `share`."""
    first, count = shared(geometry)
    result = np.zeros(input.size, input.dtype)
    np.add.at(result, first.reshape(-1), (input / count).reshape(-1))
    return result.reshape(input.shape)


def gather_positions(input, where):
    """Elements of `input` by row-major number; 0 where the number is -1."""
    flat = input.reshape(-1)
    if not flat.size:
        return np.zeros(where.shape, input.dtype)
    return np.where(where < 0, np.zeros((), input.dtype), flat[where])


def scatter_positions(input, where, shape):
    """Zeros of `shape` with each element of `input` added at a row-major number: the adjoint of `gather_positions`."""
    result = np.zeros(shape, input.dtype)
    seen = where >= 0
    np.add.at(result.reshape(-1), where[seen], input[seen])
    return result
