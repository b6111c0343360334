"""Views, rearrangements and joins. The derivative of a view is the adjoint of looking: put back where it was seen."""

import math
import numbers
import operator
from functools import cache
from weakref import ref

import numpy as np

from wengert import overrides
from wengert.autograd import views
from wengert.autograd.graph import Node, Output, Version, grad_mode, next_seq
from wengert.dtypes import INTEGER, SCALAR_NAMES, contiguous_format, int64
from wengert.dtypes import dtype as dtype_class
from wengert.interop import warn_once
from wengert.kernels import shape as kernels
from wengert.kernels import sums
from wengert.kernels.copies import in_rows, joined
from wengert.kernels.indexing import along
from wengert.kernels.reductions import axis_of
from wengert.ops import declare
from wengert.ops.declare import composite, overriding, primitive, variadic
from wengert.ops.pointwise import clone_of
from wengert.size import Size
from wengert.tensor import Tensor, new, wrap

INNER = {"function": False, "method": False}

# --- shapes -----------------------------------------------------------------------------------------------------------

reshape_to = primitive("reshape", kernels.reshape_to, view="maybe", node="ViewBackward0", **INNER,
                       input=lambda g, input_shape: reshape_to(g, input_shape))  # fmt: skip
view_op = primitive("view", kernels.view, view=True, **INNER, input=lambda g, input_shape: reshape_to(g, input_shape))
unsafe_view = primitive("unsafe_view", kernels.reshape_to, node="UnsafeViewBackward0", **INNER,
                        input=lambda g, input_shape: reshape_to(g, input_shape))  # fmt: skip
expand_op = primitive("expand", kernels.expand, view=True, **INNER, input=lambda g, input_shape: sum_to(g, input_shape))
expand_to = primitive("expand", kernels.expand_to, **INNER, input=lambda g, input_shape: sum_to(g, input_shape))


def _sum_to(input, shape):
    extra = input.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, input.shape[extra:], strict=True)):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(input.shape)}}}.")
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and input.shape[i + extra] != 1)
    result = sums.add(input, axes, keepdims=True) if axes else input
    return result.reshape(shape)


sum_to = primitive(
    "sum_to_size", _sum_to, **INNER, node="SumBackward1", input=lambda g, input_shape: expand_to(g, input_shape)
)
transpose = primitive(
    "transpose", kernels.transpose, view=True, alias=("swapaxes", "swapdims"),
    input=lambda g, dim0, dim1: transpose(g, dim0, dim1),
)  # fmt: skip
permute_op = primitive(
    "permute", kernels.permute, view=True, **INNER, input=lambda g, dims: permute_op(g, inverse(dims))
)
t = primitive("t", kernels.t, view=True, node="TBackward0", input=lambda g: t(g))
unsqueeze = primitive(
    "unsqueeze", kernels.unsqueeze, view=True, input=lambda g, input_shape: reshape_to(g, input_shape)
)
squeeze_all = primitive("squeeze", kernels.squeeze, view=True, node="SqueezeBackward0", **INNER,
                        input=lambda g, input_shape: reshape_to(g, input_shape))  # fmt: skip
squeeze_dim = primitive("squeeze", kernels.squeeze, view=True, node="SqueezeBackward1", **INNER,
                        input=lambda g, input_shape: reshape_to(g, input_shape))  # fmt: skip
squeeze_dims = primitive("squeeze", kernels.squeeze, view=True, node="SqueezeBackward2", **INNER,
                         input=lambda g, input_shape: reshape_to(g, input_shape))  # fmt: skip
select = primitive(
    "select", kernels.select, view=True, input=lambda g, input_shape, dim, index: pad_select(g, input_shape, dim, index)
)
slice_along = primitive(
    "slice", kernels.slice_along, view=True, **INNER,
    input=lambda g, input_shape, dim, start, end, step: pad_slice(g, input_shape, dim, start, end, step),
)  # fmt: skip
pad_select = primitive(
    "select_backward", kernels.pad_select, **INNER, input=lambda g, dim, index: select(g, dim, index)
)
pad_slice = primitive(
    "slice_backward", kernels.pad_slice, **INNER,
    input=lambda g, dim, start, end, step: slice_along(g, dim, start, end, step),
)  # fmt: skip
narrow_to = primitive(
    "slice", kernels.narrow, view=True, **INNER,
    input=lambda g, input_shape, dim, start, length: pad_narrow(g, input_shape, dim, start, length),
)  # fmt: skip


def _pad_narrow(input, shape, dim, start, length):
    start = start + shape[dim] if start < 0 else start
    return kernels.pad_slice(input, shape, dim, start, start + length, 1)


pad_narrow = primitive(
    "slice_backward", _pad_narrow, **INNER, input=lambda g, dim, start, length: narrow_to(g, dim, start, length),
)  # fmt: skip
diagonal = primitive(
    "diagonal", kernels.diagonal, view=True,
    input=lambda g, input_shape, offset, dim1, dim2: pad_diagonal(g, input_shape, offset, dim1, dim2),
)  # fmt: skip
pad_diagonal = primitive(
    "diagonal_backward", kernels.pad_diagonal, **INNER, node="DiagEmbedBackward0",
    input=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2),
)  # fmt: skip
unfold = primitive(
    "unfold", kernels.unfold, view=True, function=False,
    input=lambda g, input_shape, dimension, size, step: fold_windows(g, input_shape, dimension, size, step),
)  # fmt: skip
fold_windows = primitive(
    "unfold_backward", kernels.fold_windows, **INNER,
    input=lambda g, dimension, size, step: unfold(g, dimension, size, step),
)  # fmt: skip
as_strided = primitive(
    "as_strided", kernels.as_strided, view=True, residuals=("geometry",), node="AsStridedBackward0",
    input=lambda g, geometry: strided_gradient(g, geometry),
)  # fmt: skip
gather_positions = primitive(
    "gather_positions", lambda input, where: kernels.gather_positions(input, where), **INNER,
    input=lambda g, input_shape, where: scatter_positions(g, where, input_shape),
)  # fmt: skip
scatter_positions = primitive(
    "scatter_positions", lambda input, where, shape: kernels.scatter_positions(input, where, shape), **INNER,
    input=lambda g, where: gather_positions(g, where),
)  # fmt: skip
share = primitive("share", kernels.share, **INNER, input=lambda g, geometry: collect(g, geometry))
collect = primitive("collect", kernels.collect, **INNER, input=lambda g, geometry: share(g, geometry))


def strided_gradient(g, geometry):
    """Each element of the input gets what arrives for its place in memory; those that share one divide it."""
    arrived = scatter_positions(g, kernels.positions(geometry), geometry[0])
    return share(arrived, geometry) if kernels.overlaps(geometry) else arrived


real_of = primitive("real", kernels.real, view="retyped", node="SelectBackward0", holomorphic=False, **INNER,
                    input=lambda g: complex_of(g, g * 0))  # fmt: skip
imag_of = primitive("imag", kernels.imag, view="retyped", node="SelectBackward0", holomorphic=False, **INNER,
                    input=lambda g: complex_of(g * 0, g))  # fmt: skip
complex_of = primitive(
    "complex", kernels.complex_of, **INNER, node="ComplexBackward0", holomorphic=False,
    real=lambda g, real_shape: sum_to(real_of(g), real_shape),
    imag=lambda g, imag_shape: sum_to(imag_of(g), imag_shape),
)  # fmt: skip
view_as_real = primitive("view_as_real", kernels.view_as_real, view="retyped", method=False, holomorphic=False,
                         input=lambda g: complex_of(g[..., 0], g[..., 1]))  # fmt: skip
view_as_complex = primitive("view_as_complex", kernels.view_as_complex, view="retyped", method=False, holomorphic=False,
                            input=lambda g: view_as_real(g))  # fmt: skip


def inverse(dims):
    """The permutation that undoes `dims`."""
    n = len(dims)
    back = [0] * n
    for i, d in enumerate(dims):
        back[d % n] = i
    return tuple(back)


def dims_given(args, asking, name="size"):
    """``f(2, 3)`` and ``f((2, 3))`` say the same; ``f()`` misses the argument `name` of the function `asking`."""
    if not args:
        raise TypeError(f'{asking}() missing 1 required positional arguments: "{name}"')
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    for n in args:
        if type(n) is not int:
            return tuple(map(index_of, args))
    return tuple(args)


def index_of(n):
    """An extent or dimension as an int; integer tensors of one element count."""
    if isinstance(n, Tensor):
        return operator.index(n.item())
    try:
        return n.__index__()
    except AttributeError:
        raise TypeError(f"expected int, but got {type(n).__name__}") from None


def view(self, *size, dtype=None):
    """The same elements in another shape, or their bytes as another dtype; a view.

    Args:
        size: the new extents (one may be -1), or a dtype.
        dtype: the dtype, by name.
    Raises:
        RuntimeError: the shape does not fit, or the strides do not allow a view.
    """
    if dtype is not None:
        return view_dtype(self, dtype)
    if len(size) == 1:
        first = size[0]
        if isinstance(first, dtype_class):
            return view_dtype(self, first)
        if isinstance(first, (tuple, list)):
            size = first
    elif not size:
        raise TypeError("view() received an invalid combination of arguments: give a dtype or a size")
    for n in size:
        if type(n) is not int or n < -1:
            size = kernels.resolve_shape(dims_given(size, "view"), self._array.size)
            break
    return view_op.function(self, size)


def view_dtype(self, dtype):
    """The memory of `self` read as another dtype."""
    if dtype is self.dtype:  # no derivative, as for any other dtype
        return self.detach()
    if dtype.itemsize != self.dtype.itemsize:
        check_element_sizes(self, dtype)
    return as_view_of(self, self._array.view(dtype.numpy), dtype)


def check_element_sizes(tensor, dtype):
    """Raise RuntimeError unless whole elements of `dtype`, of another size, lie where those of `tensor` do."""
    array, old, fresh = tensor._array, tensor.dtype.itemsize, dtype.itemsize
    wish = f"to view {SCALAR_NAMES[tensor.dtype]} as {SCALAR_NAMES[dtype]} (different element sizes)"
    if array.ndim == 0:
        raise RuntimeError(f"self.dim() cannot be 0 {wish}")
    strides = tensor.stride()
    if array.shape[-1] > 1 and strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {wish}, but got {strides[-1]}")
    if fresh < old:
        return
    ratio = fresh // old
    places = {
        "size(-1)": array.shape[-1],
        "storage_offset()": tensor.storage_offset(),
        **{f"stride({dim})": stride for dim, stride in enumerate(strides[:-1])},
    }
    for what, number in places.items():
        if number % ratio:
            raise RuntimeError(f"self.{what} must be divisible by {ratio} {wish}, but got {number}")


def as_view_of(source, array, dtype=None):
    """A tensor for `array`, a view of `source`'s memory, outside the graph but sharing the version counter."""
    result = new(Tensor)
    result._array = array
    result.dtype = source.dtype if dtype is None else dtype
    result._node = None
    base = source._base
    result._base = source if base is None else base
    counter = source._counter
    if counter is None:
        counter = source._counter = Version()
    result._counter = counter
    counter.register(ref(result))
    return result


alias_op = primitive("alias", lambda input: input[...], view=True, **INNER, input=lambda g: g)


def alias_of(self):
    """Another tensor for the same memory and the same place in the graph."""
    return alias_op.function(self)


def reshape(input, *shape, **named):
    """The same elements in another shape: a view where strides allow it, a copy where not."""
    size = dims_given(tuple(named.values()) if named else shape, "reshape", "shape")
    if type(input) is not Tensor and not isinstance(input, Tensor):
        if asked := overriding((input,), None):
            return overrides.handle(reshape, asked, (input, *shape), named)
        raise TypeError(f"reshape(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    array = input._array
    if array.flags.c_contiguous and (not size or min(size) >= -1):
        return view_op.function(input, size)
    size = kernels.resolve_shape(size, array.size)
    if kernels.view_strides(array, size) is not None:
        return view_op.function(input, size)
    return unsafe_view.function(clone_in.function(input, "contiguous_format"), size)


def expand(self, *size):
    """Dimensions of one element repeated without a copy; -1 keeps a dimension."""
    return expand_op.function(self, dims_given(size, "expand"))


def permute(input, *dims, **named):
    """Dimensions in another order; a view."""
    return permute_op.function(input, dims_given(tuple(named.values()) if named else dims, "permute", "dims"))


def squeeze(input, dim=None, *, axis=None):
    """Without dimensions of one element: all of them, or those in `dim` (or `axis`); a view."""
    dim = axis if dim is None else dim
    if dim is None:
        return squeeze_all.function(input)
    if isinstance(dim, (tuple, list)):
        return squeeze_dims.function(input, tuple(dim))
    return squeeze_dim.function(input, index_of(dim))


def narrow(input, dim, start, length):
    """`length` elements of dimension `dim` from `start` on; a view."""
    if isinstance(start, Tensor) and (start.ndim or start.dtype.category != INTEGER):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    return narrow_to.function(input, dim, index_of(start), length)


def real(input):
    """The real part; a view of a complex tensor, a real tensor itself."""
    return real_of.function(input) if input.dtype.is_complex else input


def imag(input):
    """The imaginary part of a complex tensor; a view."""
    return imag_of.function(input)


@composite
def flatten(input, start_dim=0, end_dim=-1):
    """Dimensions from `start_dim` to `end_dim` as one."""
    ndim = input.ndim
    if ndim == 0:
        return reshape(input, (1,))
    start, end = axis_of(start_dim, ndim), axis_of(end_dim, ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end:
        return input
    shape = input._array.shape
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@composite
def unflatten(input, dim, sizes):
    """Dimension `dim` split into several of these sizes, of which one may be -1."""
    if not input.ndim:
        raise RuntimeError(f"unflatten: Dimension specified as {dim} but tensor has no dimensions")
    axis = axis_of(dim, input.ndim)
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape = input._array.shape
    try:
        parts = kernels.resolve_shape(sizes, shape[axis])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} ({shape[axis]}) in "
            "the input "
            "tensor"
        ) from None
    return view(input, *shape[:axis], *parts, *shape[axis + 1 :]) if kernels.view_strides(
        input._array, (*shape[:axis], *parts, *shape[axis + 1 :])
    ) else reshape(input, (*shape[:axis], *parts, *shape[axis + 1 :]))  # fmt: skip


@composite
def ravel(input):
    """All elements in one dimension: a view of a contiguous tensor, a copy of any other."""
    return reshape(contiguous(input), (-1,))


@composite
def movedim(input, source, destination):
    """Dimensions moved to other positions, the rest in their order; a view."""
    ndim = input.ndim
    source = (source,) if isinstance(source, int) else tuple(source)
    destination = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same "
            "number of dims "
            f"as destination ({list(destination)} dims)"
        )
    source = [axis_of(d, ndim) for d in source]
    destination = [axis_of(d, ndim) for d in destination]
    if not ndim:
        return permute_op(input, ())
    for dims, what in ((source, "source"), (destination, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({dims})")
    order = [d for d in range(ndim) if d not in source]
    for d, s in sorted(zip(destination, source, strict=True)):
        order.insert(d, s)
    return permute_op(input, tuple(order))


@composite(method=False)
def broadcast_to(input, size):
    """`expand` under NumPy's name."""
    return expand_op.function(input, dims_given((size,), "broadcast_to"))


def sum_to_size(self, *size):
    """Summed over the dimensions along which a tensor of `size` would be broadcast to this shape."""
    shape = dims_given(size, "sum_to_size")
    if not shape:
        return self.sum()
    return self if shape == self._array.shape else sum_to.function(self, shape)


def contiguous(self, memory_format=contiguous_format):
    """This tensor if its elements lie in row-major order (or in the order of `memory_format`), else a copy that does.
    """
    if is_contiguous(self, memory_format):
        return self
    return clone(self, memory_format=memory_format)


def is_contiguous(self, memory_format=contiguous_format):
    """Whether the elements lie in the order of `memory_format`."""
    name = memory_format.name
    if name == "contiguous_format":
        return self._array.flags.c_contiguous
    if name == "channels_last":
        return self._array.ndim == 4 and self._array.transpose(0, 2, 3, 1).flags.c_contiguous
    if name == "channels_last_3d":
        return self._array.ndim == 5 and self._array.transpose(0, 2, 3, 4, 1).flags.c_contiguous
    raise RuntimeError("is_contiguous(): preserve memory format is unsupported by the contiguous operator.")


def clone(input, *, memory_format=None):
    """A copy with memory of its own, in the graph; strides are kept where they are dense."""
    if memory_format is None or memory_format.name == "preserve_format":
        return clone_of.function(input)
    return clone_in.function(input, memory_format.name)


def _laid_out(input, layout):
    if layout == "contiguous_format":
        return in_rows(input)
    ndim = 4 if layout == "channels_last" else 5
    if input.ndim != ndim:
        raise RuntimeError(f"required rank {ndim} tensor to use {layout} format")
    last = tuple(range(2, ndim))
    return np.ascontiguousarray(input.transpose(0, *last, 1)).transpose(0, ndim - 1, *range(1, ndim - 1))


clone_in = primitive("clone", _laid_out, **INNER, node="CloneBackward0", input=lambda g: g)


def is_set_to(self, tensor):
    """Whether both look at the same memory from the same place with the same shape and strides."""
    mine, other = self._array, tensor._array
    if mine.shape != other.shape or mine.strides != other.strides or mine.dtype != other.dtype:
        return False
    return kernels.address(mine) == kernels.address(other)


def storage_offset(self):
    """How many elements lie in the storage before the first."""
    array = self._array
    if not array.size and array.base is None:
        return 0
    return (kernels.address(array) - kernels.address(kernels.root_of(array))) // array.itemsize


for _name, _function in {
    "view": view, "expand": expand, "permute": permute, "reshape": reshape, "squeeze": squeeze, "narrow": narrow,
    "sum_to_size": sum_to_size, "contiguous": contiguous, "is_contiguous": is_contiguous, "clone": clone,
    "storage_offset": storage_offset, "is_set_to": is_set_to,
}.items():  # fmt: skip
    setattr(Tensor, _name, _function)
Tensor.real = property(real, lambda self, value: real(self).copy_(value))
Tensor.imag = property(imag, lambda self, value: imag(self).copy_(value))


def matrices_transposed(self, name):
    """The last two dimensions exchanged; a 0-d tensor is its own transpose."""
    ndim = self._array.ndim
    if ndim == 1 or (name == "H" and ndim > 2):
        which = "matrices (2-D tensors)" if name == "H" else "matrices or batches of matrices"
        raise RuntimeError(f"tensor.{name} is only supported on {which}. Got {ndim}-D tensor.")
    return transpose.function(self, -2, -1) if ndim else self


def all_transposed(self):
    """The matrix transposed; of other tensors, the dimensions in reverse order, which PyTorch advises against."""
    ndim = self._array.ndim
    if ndim not in (0, 2):
        warn_once(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will "
            "throw an error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
        )
    return permute_op.function(self, tuple(range(ndim))[::-1])


def rearranged(name, operation, node_name):
    """The in-place form of a view operation: the tensor itself takes the new shape and strides."""

    def in_place(self, *args, **kwargs):
        recorded = self._node is not None and grad_mode.enabled
        if recorded:
            views.check_inplace(self)
        elif grad_mode.enabled and self._base is not None:
            views.check_unrecorded(self)
        moved = operation(self, *args, **kwargs)
        self._array = moved._array
        if recorded:
            views.move_retained(self, moved._node)
            self._node = moved._node
            self._node.__class__ = renamed(type(self._node), node_name)
        elif self._node is not None and self._base is not None and self._base._node is not None:
            self._node = views.AsStridedBackward0(self._base, self)  # a view finds its place anew, recorded or not
        views.bump(self)
        if recorded and self._base is None and self._counter.views:
            views.refresh_views(self._counter, self, self)
        return self

    in_place.__name__ = in_place.__qualname__ = f"{name}_"
    in_place.__doc__ = f"`{name}` in place: this tensor itself takes the new shape and strides; returns it."
    return in_place


@cache
def renamed(node_class, name):
    """The same class of nodes under the name that PyTorch gives to the in-place form."""
    return type(name, (node_class,), {"__slots__": (), "__module__": "wengert"})


# The functions are looked up when called: generating them now would bind formulas to a module that is half loaded.
for _name, _function, _node in (
    ("transpose", lambda *a, **k: transpose(*a, **k), "TransposeBackward1"),
    ("swapaxes", lambda *a, **k: transpose(*a, **k), "TransposeBackward1"),
    ("swapdims", lambda *a, **k: transpose(*a, **k), "TransposeBackward1"),
    ("t", lambda *a, **k: t(*a, **k), "TBackward1"),
    ("unsqueeze", lambda *a, **k: unsqueeze(*a, **k), "UnsqueezeBackward1"),
    ("squeeze", lambda *a, **k: squeeze(*a, **k), "SqueezeBackward3"),
):
    setattr(Tensor, f"{_name}_", rearranged(_name, _function, _node))
Tensor.T = property(all_transposed)
Tensor.mT = property(lambda self: matrices_transposed(self, "mT"))
Tensor.H = property(lambda self: matrices_transposed(self, "H").conj())
Tensor.mH = property(lambda self: matrices_transposed(self, "mH").conj())
Tensor.adjoint = lambda self: matrices_transposed(self, "adjoint()").conj()
Tensor.view_as = lambda self, other: view(self, other._array.shape)
Tensor.reshape_as = lambda self, other: reshape(self, other._array.shape)
Tensor.expand_as = lambda self, other: expand(self, other._array.shape)

# --- rearrangements ---------------------------------------------------------------------------------------------------

flip = primitive("flip", kernels.flip, **INNER, input=lambda g, dims: flip(g, dims))
roll = primitive("roll", kernels.roll, dense=True, input=lambda g, shifts, dims: roll(g, opposite(shifts), dims))
repeat_op = primitive(
    "repeat", kernels.repeat, **INNER, dense=True,
    input=lambda g, input_shape, repeats: sum_repeats(g, input_shape, repeats)
)
sum_repeats = primitive("repeat_backward", kernels.sum_repeats, **INNER, input=lambda g, repeats: repeat_op(g, repeats))
tril = primitive("tril", kernels.tril, inplace=True, input=lambda g, diagonal: tril(g, diagonal))
triu = primitive("triu", kernels.triu, inplace=True, input=lambda g, diagonal: triu(g, diagonal))
put_along = primitive(
    "value_selecting_reduction_backward", kernels.put_along, tensors=("input", "indices"), **INNER,
    input=lambda g, indices, dim: take_along(g, indices, dim),
)  # fmt: skip
take_along = primitive(
    "take_along_dim", lambda input, indices, dim: along(input, indices, axis_of(dim, input.ndim)),
    tensors=("input", "indices"), **INNER,
    input=lambda g, indices, input_shape, dim: put_along(g, indices, input_shape, dim),
)  # fmt: skip


def opposite(shifts):
    return tuple(-s for s in shifts) if isinstance(shifts, (tuple, list)) else -shifts


def flip_dims(input, *dims, **named):
    """Reversed along dimensions `dims`; a copy."""
    return flip.function(input, dims_given(tuple(named.values()) if named else dims, "flip", "dims"))


def repeat(self, *repeats):
    """Copies of the whole, this many times along each dimension."""
    return repeat_op.function(self, dims_given(repeats, "repeat", "repeats"))


def tile(input, *dims):
    """Copies of the whole, NumPy's way: missing counts are 1."""
    counts = dims_given(dims, "tile", "dims")
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


Tensor.flip, Tensor.repeat, Tensor.tile = flip_dims, repeat, tile

# --- joins and splits -------------------------------------------------------------------------------------------------


def cat_gradient(g, shapes, dim):
    """Each input gets the piece that it gave."""
    pieces, start = [], 0
    ndim = len(g.shape)
    axis = dim % ndim
    for shape in shapes:
        if tuple(shape) == (0,) and ndim != 1:
            pieces.append(reshape_to(narrow_to(reshape_to(g, (-1,)), 0, 0, 0), (0,)))
            continue
        pieces.append(narrow_to(g, axis, start, shape[axis]))
        start += shape[axis]
    return pieces


def stack_gradient(g, shapes, dim):
    return [select(g, dim, i) for i in range(len(shapes))]


cat = variadic("cat", kernels.cat, lambda g, shapes, dim: cat_gradient(g, shapes, dim), alias=("concat", "concatenate"))
stack = variadic("stack", kernels.stack, lambda g, shapes, dim: stack_gradient(g, shapes, dim))
concatenate = cat


class _Pieces(Node):
    """Several views of one tensor, made together: the gradient of the whole is the gradients of the pieces, put
    together.
    """

    __slots__ = ("dim", "shapes", "dtype", "outputs")

    def apply(self, gs, keep):
        arrays = [np.zeros(s, self.dtype.numpy) if g is None else g for g, s in zip(gs, self.shapes, strict=True)]
        return (self.joined(arrays, np),)

    def apply_graph(self, gs):
        tensors = [
            wrap(np.zeros(s, self.dtype.numpy), self.dtype) if g is None else g
            for g, s in zip(gs, self.shapes, strict=True)
        ]
        return (self.joined(tensors, None),)


class SplitBackward0(_Pieces):
    __slots__ = ()

    def joined(self, pieces, arrays):
        return joined(pieces, self.dim) if arrays else cat(pieces, self.dim)


class SplitWithSizesBackward0(SplitBackward0):
    __slots__ = ()


class UnbindBackward0(_Pieces):
    __slots__ = ()

    def joined(self, pieces, arrays):
        return kernels.stack(pieces, self.dim) if arrays else stack(pieces, self.dim)


def pieces_of(tensor, cut, dim, node_class):
    """The views of `tensor` that ``cut(array)`` makes together; outputs of one node where it is recorded."""
    if tensor._tangent is not None:
        return declare.forward_ad.pieces(tensor, lambda t: pieces_of(t, cut, dim, node_class))
    arrays = cut(tensor._array)
    results = [as_view_of(tensor, array) for array in arrays]
    for piece in results:
        piece._view_kind = "multi"
    if tensor._node is not None and not grad_mode.enabled:
        for piece in results:
            views.leave_unrecorded(piece)
    elif tensor._node is not None:
        node = new(node_class)
        node.edges = (tensor._node,)
        node.seq = next_seq()
        node.shape = tensor._array.shape
        node.versions = node.hooks = None
        node.dim = dim
        node.shapes = [a.shape for a in arrays]
        node.dtype = tensor.dtype
        node.outputs = len(arrays)
        for number, piece in enumerate(results):
            piece._node = Output(node, number, piece._array.shape, tensor.dtype)
    return tuple(results)


def _cut(array, axis, sizes):
    arrays, start = [], 0
    for size in sizes:
        arrays.append(array[(slice(None),) * axis + (slice(start, start + size),)])
        start += size
    return arrays


def _slices(array, axis):
    return [array[(*(slice(None),) * axis, i, ...)] for i in range(array.shape[axis])]


@composite(method=False)
def split(tensor, split_size_or_sections, dim=0):
    """Consecutive pieces along `dim`: of one size (the last may be smaller), or of the given sizes; views."""
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = axis_of(dim, tensor.ndim)
    n = tensor._array.shape[axis]
    if isinstance(split_size_or_sections, (list, tuple)):
        sizes = [index_of(s) for s in split_size_or_sections]
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension "
                f"{axis}), but got "
                f"split_sizes={sizes}"
            )
        return pieces_of(tensor, lambda array: _cut(array, axis, sizes), axis, SplitWithSizesBackward0)
    size = index_of(split_size_or_sections)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    count = max(-(-n // size), 1) if size else 1
    sizes = [size] * (count - 1) + [n - size * (count - 1)]
    return pieces_of(tensor, lambda array: _cut(array, axis, sizes), axis, SplitBackward0)


def split_method(self, split_size, dim=0):
    """`split`, whose second argument is called `split_size` in the method."""
    return split.function(self, split_size, dim)


split_method.__name__ = split_method.__qualname__ = "split"
Tensor.split = split_method


@composite
def split_with_sizes(input, split_sizes, dim=0):
    """`split` with a list of sizes."""
    return split(input, list(split_sizes), dim)


@composite
def chunk(input, chunks, dim=0):
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller); views."""
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._array.shape[axis_of(dim, input.ndim)]
    size = -(-n // chunks)
    if size == 0:
        return split(input, [0] * chunks, dim)
    return split(input, size, dim)


@composite
def tensor_split(input, indices_or_sections, dim=0):
    """Pieces along `dim`: this many, as equal as can be, or cut at these indices; views."""
    if not input.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    n = input._array.shape[axis_of(dim, input.ndim)]
    if isinstance(indices_or_sections, Tensor):
        if indices_or_sections.dtype is not int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, "
                f"but got {SCALAR_NAMES[indices_or_sections.dtype]}"
            )
        if indices_or_sections.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, "
                f"but got a tensor with {indices_or_sections.ndim} dims"
            )
        given = indices_or_sections.tolist()
    else:
        given = indices_or_sections
    if isinstance(given, int):
        if given <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {given}")
        sizes = [n // given + (i < n % given) for i in range(given)]
        cuts = [sum(sizes[:i]) for i in range(1, given)]
    else:
        cuts = [index_of(place) for place in given]
    bounds = [slice(a, b).indices(n)[:2] for a, b in zip([None, *cuts], [*cuts, None], strict=True)]
    return tuple(slice_along(input, dim, a, max(a, b)) for a, b in bounds)


@composite
def unbind(input, dim=0):
    """The slices along `dim`, without that dimension; views."""
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = axis_of(dim, input.ndim)
    return pieces_of(input, lambda array: _slices(array, axis), axis, UnbindBackward0)


@composite(method=False)
def broadcast_tensors(*tensors):
    """All tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shape = tuple(broadcast_shapes(*[x._array.shape for x in tensors]))
    return tuple(x if x._array.shape == shape else expand_op.function(x, shape) for x in tensors)


def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes are broadcast to; raises RuntimeError if they can't be."""
    from wengert.errors import broadcast_message

    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    if any(n < 0 for shape in shapes for n in shape):
        raise ValueError("Attempting to broadcast a dimension with negative length!")
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise RuntimeError(
            f"Shape mismatch: objects cannot be broadcast to a single shape: {broadcast_message(shapes)}"
        ) from None


FUNCTIONS_HERE = {
    "reshape": reshape, "permute": permute, "squeeze": squeeze, "narrow": narrow, "real": real, "imag": imag,
    "clone": clone,
    "flip": flip_dims, "tile": tile, "broadcast_shapes": broadcast_shapes,
}  # fmt: skip


# --- Python's protocols for sequences ---------------------------------------------------------------------------------


def __iter__(self):
    """The slices along the first dimension."""
    if not self._array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind.function(self, 0))


def __reversed__(self):
    """This tensor, its first dimension reversed."""
    return flip.function(self, (0,)) if self._array.ndim else self


def __contains__(self, element):
    """Whether any element equals `element`, a number or a tensor; raises RuntimeError for anything else."""
    if not isinstance(element, (Tensor, numbers.Number)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool((self == element)._array.any())


Tensor.__iter__, Tensor.__reversed__, Tensor.__contains__ = __iter__, __reversed__, __contains__
