"""Sparse tensors in coordinate form: where the values are, and the values.

A `SparseTensor` has indices, (sparse dimensions, nnz) int64, and values, (nnz, *dense dimensions), which are an
ordinary tensor with its place in the graph. An operation on a sparse tensor is operations on its values, so gradients
need no saying; that of a sparse tensor has the same indices. Coordinates may repeat (they add up) until `coalesce` has
sorted and joined them.

Operations find their way here by `__torch_function__`: the table `HANDLERS` says what each does, and what is not in it
is refused by name. No array stands behind a sparse tensor, so nothing can be computed with zeros by mistake.
"""

import math

import numpy as np

from wengert import dtypes, overrides
from wengert.absent import named
from wengert.autograd.graph import AccumulateGrad
from wengert.autograd.views import bump
from wengert.devices import check as check_device
from wengert.kernels import sparse as kernels
from wengert.ops import inspection  # noqa: F401  (its methods are there before the class takes stock of them)
from wengert.ops.creation import as_tensor, full
from wengert.ops.declare import METHODS, primitive
from wengert.ops.reductions import sum as sum_of
from wengert.ops.shape import cat
from wengert.printing import sparse_repr
from wengert.tensor import Tensor, wrap, wrap_dim

HIDDEN = {"function": False, "method": False, "out": False}

# --- what is done to the values ---------------------------------------------------------------------------------------

segment_sum = primitive(
    "segment_sum", kernels.segment_sum, **HIDDEN, tensors=("values",),
    values=lambda g, keys, values_shape: take(g, keys, values_shape[0]),
)  # fmt: skip
take = primitive(
    "take_rows", kernels.take, **HIDDEN, tensors=("input",),
    input=lambda g, keys, input_shape: segment_sum(g, keys, input_shape[0]),
)  # fmt: skip


def declare_product(node):
    """The product of a sparse matrix with a dense one, by the name of its node."""
    return primitive(
        "sparse_mm", kernels.product, **HIDDEN, node=node, tensors=("values", "matrix"),
        values=lambda g, matrix, rows, columns: sum_of(take(g, rows, 0) * take(matrix, columns, 0), -1),
        matrix=lambda g, values, rows, columns, matrix_shape: mm_product(values, g, columns, rows, matrix_shape[0]),
    )  # fmt: skip


mm_product = declare_product("MmBackward0")
sparse_product = declare_product("SparseAddmmBackward0")


def declare_alias(node):
    """The values themselves as those of a sparse tensor, by the name of the node that makes it."""
    return primitive(
        "sparse_values", lambda values: values[...], **HIDDEN, node=node, view=True, values=lambda g: g,
    )  # fmt: skip


made_of = declare_alias("SparseCooTensorWithDimsAndTensorsBackward0")
coalesced_from = declare_alias("CoalesceBackward0")
sparse_from = declare_alias("ToSparseBackward1")
values_from = declare_alias("ValuesBackward0")
dense_from = primitive(
    "to_dense", lambda values, keys, count, shape: kernels.segment_sum(values, keys, count).reshape(shape), **HIDDEN,
    tensors=("values",), node="ToDenseBackward0",
    values=lambda g, keys, count, values_shape: take(g.reshape((count, *values_shape[1:])), keys, count),
)  # fmt: skip


# --- the class --------------------------------------------------------------------------------------------------------


class NoArray:
    """What a sparse tensor has in place of an array: extents and a dtype, and no elements."""

    __slots__ = ("shape", "dtype")
    __array_ufunc__ = None
    strides = ()

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))
    itemsize = property(lambda self: self.dtype.itemsize)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a sparse tensor has no dense array: call to_dense() first")


# Attributes and methods of Tensor that hold for sparse tensors as they stand.
AS_THEY_STAND = frozenset(
    """
    shape size ndim dim ndimension numel nelement itemsize element_size device get_device __len__ is_floating_point
    is_complex is_signed is_inference is_conj is_neg is_shared is_pinned is_distributed is_same_size _version output_nr
    requires_grad name names_ as_subclass __format__ _is_view
    """.split()  # noqa: SIM905
)
REFUSED = {
    "numpy": TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first."),
    "storage": NotImplementedError("Cannot access storage of SparseTensorImpl"),
    "untyped_storage": NotImplementedError("Cannot access storage of SparseTensorImpl"),
    "data_ptr": RuntimeError("Cannot access data pointer of Tensor that doesn't have storage"),
    "reshape": RuntimeError("reshape is not implemented for sparse tensors"),
    "contiguous": RuntimeError("unsupported memory format option Contiguous"),
}
HANDLERS = {}


def handles(*names):
    """Declare a function to be what the operations of these names do where a sparse tensor takes part."""

    def enter(function):
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return enter


def name_of(function):
    """The public name of an operation, a method, or the getter of a property."""
    if function.__name__ == "__get__":
        return function.__self__.fget.__name__
    return function.__name__


class SparseTensor(Tensor):
    """A tensor of which only some elements (or slices, in the first dimensions) are kept; the others are zero."""

    is_sparse = True
    layout = dtypes.sparse_coo
    _plain_override = False

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = name_of(func)
        handler = HANDLERS.get(name)
        if handler is not None:
            return handler(*args, **(kwargs or {}))
        if name in AS_THEY_STAND:
            with overrides.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        if name in REFUSED:
            error = REFUSED[name]
            raise type(error)(*error.args)
        raise NotImplementedError(
            f"Could not run 'aten::{name}' with arguments from the 'SparseCPU' backend: wengert does not compute it on "
            "sparse tensors. Call to_dense() first."
        )

    def _indices(self):
        """The coordinates, (sparse dimensions, nnz) int64, whether coalesced or not."""
        return self._coordinates.detach()

    def _values(self):
        """The values, (nnz, *dense dimensions), outside of the graph, whether coalesced or not."""
        return self._kept.detach()

    def indices(self):
        """The coordinates of a coalesced tensor; raises RuntimeError if it isn't."""
        self._must_be_coalesced("indices")
        return self._coordinates.detach()

    def values(self):
        """The values of a coalesced tensor, in the graph; raises RuntimeError if it isn't."""
        self._must_be_coalesced("values")
        return values_from(self._kept)

    def _must_be_coalesced(self, what):
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    def is_coalesced(self):
        """Whether the coordinates are known to be sorted and without repetition."""
        return self._coalesced

    def _coalesced_(self, coalesced):
        self._coalesced = bool(coalesced)
        return self

    def _nnz(self):
        """How many values are kept."""
        return self._kept._array.shape[0]

    def sparse_dim(self):
        """The number of dimensions that have coordinates."""
        return self._coordinates._array.shape[0]

    def dense_dim(self):
        """The number of dimensions of each value."""
        return self._kept._array.ndim - 1

    def stride(self, dim=None):
        """Zeros: there is no memory to step through."""
        return (0,) * self._array.ndim if dim is None else 0

    def is_contiguous(self, memory_format=None):
        """False."""
        return False

    def coalesce(self):
        """The same tensor with sorted coordinates, and values of the same coordinates added up."""
        if self._coalesced:
            return self
        if self._nnz() < 2:
            return make(self._coordinates, self._kept, self._array.shape, True)
        keys, unique = np.unique(keys_of(self), return_inverse=True)
        values = coalesced_from(segment_sum(self._kept, unique.reshape(-1), len(keys)))
        return make(coordinates_of(keys, self._array.shape[: self.sparse_dim()]), values, self._array.shape, True)

    def to_dense(self, dtype=None, *, masked_grad=True):
        """An ordinary tensor of the same elements."""
        if not masked_grad:
            raise NotImplementedError("to_dense(): masked_grad=False is not supported")
        shape = self._array.shape
        dense = dense_from(self._kept, keys_of(self), math.prod(shape[: self.sparse_dim()]), shape)
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
        """This tensor itself: it is sparse. In another layout if that is asked for."""
        if layout in COMPRESSED_LAYOUTS:
            return compressed(self, layout, blocksize)
        check_layout(layout, blocksize)
        if sparse_dim not in (None, self.sparse_dim()):
            raise RuntimeError(
                "to_sparse: conversion from Sparse to Sparse with sparse_dim argument !=self.sparse_dim() is not "
                "supported"
            )
        return self

    def sparse_mask(self, mask):
        """The values of this tensor at the coordinates of `mask`, a sparse tensor of the same shape."""
        return sparse_mask(self.to_dense(), mask)

    # --- its place in the graph ---------------------------------------------------------------------------------------

    @property
    def is_leaf(self):
        return self._node is None or self._leaf

    @property
    def grad_fn(self):
        return None if self.is_leaf else self._kept.grad_fn

    @property
    def retains_grad(self):
        return self._kept.retains_grad and not self._leaf

    @property
    def requires_grad(self):
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value):
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad=True):
        """Start (or end) the recording of operations on this leaf, and return it."""
        if self._node is not None and not self._leaf:
            self._kept.requires_grad_(requires_grad)  # says what is wrong with that
        elif requires_grad != self._leaf:
            self._kept = self._kept.detach().requires_grad_(requires_grad)
            self._node, self._leaf = self._kept._node, bool(requires_grad)
        return self

    @property
    def grad(self):
        """The accumulated gradient: a sparse tensor with these coordinates, or None."""
        values = self._kept.grad
        return None if values is None else self._like(values)

    @grad.setter
    def grad(self, value):
        self._kept.grad = None if value is None else sparse_mask(value, self)._kept

    def _like(self, values):
        """`values` at the coordinates of this tensor."""
        return make(self._coordinates, values, self._array.shape, self._coalesced)

    def retain_grad(self):
        """Keep the gradient of this non-leaf in `.grad`."""
        self._kept.retain_grad()

    def register_hook(self, hook):
        """Call ``hook(grad)`` with the sparse gradient when it has been computed; what it returns replaces it."""

        def on_values(values):
            result = hook(self._like(values))
            return None if result is None else result._kept

        return self._kept.register_hook(on_values)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add gradients to the leaves; `gradient` (sparse) is what arrives at this tensor."""
        if gradient is None:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        self._kept.backward(sparse_mask(gradient, self)._kept, retain_graph, create_graph, inputs)

    def detach(self):
        """The same coordinates and values outside the graph."""
        return self._like(self._kept.detach())

    def detach_(self):
        """Cut this very tensor out of the graph; returns it."""
        self._kept, self._node, self._leaf = self._kept.detach(), None, False
        return self

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        if not isinstance(value, SparseTensor):
            raise RuntimeError("incompatible tensor type: the data of a sparse tensor has to be sparse")
        self._coordinates, self._kept, self._coalesced = value._coordinates, value._kept.detach(), value._coalesced
        self._array, self.dtype = value._array, value.dtype

    def clone(self, *, memory_format=None):
        """A copy with values of its own."""
        return make(self._coordinates.clone(), self._kept.clone(), self._array.shape, self._coalesced)

    # --- conversions --------------------------------------------------------------------------------------------------

    def to(self, *args, **kwargs):
        """This tensor in another dtype: itself if that changes nothing."""
        values = self._kept.to(*args, **kwargs)
        return self if values is self._kept else self._like(values)

    def cpu(self, memory_format=None):
        """This tensor itself."""
        return self

    def type(self, dtype=None, non_blocking=False):
        """The name of the tensor's type, or the tensor converted to `dtype`."""
        if dtype is None:
            return self._kept.type().replace("torch.", "torch.sparse.", 1)
        return self._like(self._kept.type(dtype))

    def tolist(self):
        """Nested lists of all elements, zeros included."""
        return self.to_dense().tolist()

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def item(self):
        """The only element as a Python number."""
        if self._array.size != 1:
            raise RuntimeError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
        return self.to_dense().item()

    def __bool__(self):
        if self._array.size != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    def __iter__(self):
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, index):
        """The slice at an integer (or at several): sparse, or dense where no sparse dimension is left."""
        result, dim = self, 0
        for i in index if isinstance(index, tuple) else (index,):
            if isinstance(i, slice) and i == slice(None):
                dim += 1
                continue
            if not isinstance(i, (int, np.integer)):
                raise NotImplementedError(
                    "Could not run 'aten::as_strided' with arguments from the 'SparseCPU' backend: a sparse tensor "
                    "takes integers as indices. Use index_select, or call to_dense() first."
                )
            result = select(result, dim, int(i)) if isinstance(result, SparseTensor) else result.select(dim, int(i))
        return result

    def __repr__(self, *, tensor_contents=None):
        return sparse_repr(self)

    def __reduce_ex__(self, protocol):
        return rebuild, (
            self._coordinates.detach(), self._kept.detach(), tuple(self._array.shape), self._coalesced,
        )  # fmt: skip

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment"
            )
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return memo[id(self)]

    @property
    def T(self):
        return permute(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self):
        return transpose(self, -2, -1)

    def __rtruediv__(self, other):
        raise NotImplementedError("Could not run 'aten::reciprocal' with arguments from the 'SparseCPU' backend")


def make(coordinates, values, shape, coalesced=False):
    """A sparse tensor of these coordinates and values, both tensors; the values keep their place in the graph."""
    if type(values._node) is AccumulateGrad:
        values = made_of(values)
    self = object.__new__(SparseTensor)
    self._array = NoArray(tuple(shape), values._array.dtype)
    self.dtype = values.dtype
    self._node = values._node
    self._counter = self._base = None
    self._coordinates, self._kept, self._coalesced, self._leaf = coordinates, values, bool(coalesced), False
    return self


def without_elements(shape, dtype, requires_grad):
    """A sparse tensor of this shape that holds nothing."""
    coordinates = wrap(np.zeros((len(shape), 0), np.int64))
    return make(coordinates, wrap(np.zeros(0, dtype.numpy), dtype), shape, True).requires_grad_(requires_grad)


def rebuild(coordinates, values, shape, coalesced):
    """What unpickling calls: a leaf, which as in PyTorch does not require grad."""
    return make(coordinates, values, shape, coalesced)


def of_gradient(gradient):
    """A `kernels.SparseArray` as a tensor."""
    return make(wrap(gradient.indices[None]), wrap(gradient.values), gradient.shape)


def keys_of(sparse):
    """For each value its place among the elements of the sparse dimensions, as one number."""
    coordinates = sparse._coordinates._array
    extents = sparse._array.shape[: len(coordinates)]
    if len(coordinates) == 1:
        found = coordinates[0]
        if found.size and not (found.min() >= 0 and found.max() < extents[0]):
            raise RuntimeError(f"size is inconsistent with indices: for dim 0, size is {extents[0]}")
        return found
    if not len(coordinates):
        return np.zeros(sparse._nnz(), np.int64)
    return np.ravel_multi_index(tuple(coordinates), extents) if math.prod(extents) else np.zeros(0, np.int64)


def coordinates_of(keys, extents):
    """The coordinates of such numbers, as a tensor."""
    if not extents:
        return wrap(np.zeros((0, len(keys)), np.int64))
    return wrap(np.array(np.unravel_index(keys, extents), np.int64).reshape(len(extents), len(keys)))


# --- making them ------------------------------------------------------------------------------------------------------


def sparse_coo_tensor(
    indices=None, values=None, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False,
    check_invariants=None, is_coalesced=None,
):  # fmt: skip
    """A sparse tensor in coordinate form.

    Args:
        indices: (sparse dimensions, nnz), numbers that int64 can hold; repeated coordinates add up.
        values: (nnz, *dense dimensions).
        size: the shape (default: the smallest that holds all coordinates). Alone, an empty tensor.
        is_coalesced: says that the coordinates are sorted and don't repeat.
        check_invariants: check the coordinates against the size (done in any case where the size is worked out).

    Raises:
        RuntimeError: the arguments don't fit each other.
    """
    check_device(device)
    if pin_memory:
        raise RuntimeError("Cannot access accelerator device when none is available: pin_memory needs one")
    if values is None:
        shape = tuple(size if size is not None else indices)
        kept = full((0,), 0, dtype=dtype)
        return make(wrap(np.zeros((len(shape), 0), np.int64)), kept, shape, True).requires_grad_(requires_grad)
    coordinates = indices if isinstance(indices, Tensor) else as_tensor(indices)
    kept = values if isinstance(values, Tensor) else as_tensor(values, dtype=dtype)
    kept = kept if dtype is None else kept.to(dtype)
    coordinates = wrap(coordinates._array.astype(np.int64, copy=False))
    if coordinates.ndim == 1 and not coordinates._array.size:
        coordinates = coordinates.reshape(1, 0)
    if coordinates.ndim == 1:
        coordinates = coordinates.unsqueeze(1)
    if coordinates.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(coordinates.shape)}")
    if kept.ndim == 0:
        kept = kept.reshape(1)
    check_parts(coordinates._array, kept, size, check_invariants)
    shape = tuple(size) if size is not None else smallest_shape(coordinates._array, kept)
    result = make(coordinates, made_of(kept), shape, bool(is_coalesced))
    return result.requires_grad_() if requires_grad else result


def check_parts(coordinates, kept, size, thorough):
    """Raise RuntimeError unless coordinates, values and size fit."""
    sparse, nnz = coordinates.shape
    if size is not None and len(size) != sparse + kept.ndim - 1:
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = {sparse}, "
            f"dense_dim = {kept.ndim - 1}"
        )
    if nnz != kept.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {nnz}, nnz from values: {kept.shape[0]}"
        )
    if size is not None and tuple(size[sparse:]) != tuple(kept.shape[1:]):
        raise RuntimeError(
            f"values has incorrect size, expected {[nnz, *size[sparse:]]}, got {list(kept.shape)}"
        )
    if not coordinates.size or (size is not None and thorough is False):
        return
    for dim, row in enumerate(coordinates):
        if row.min() < 0:
            raise RuntimeError(f"found negative index {row.min()} for dim {dim}")
        if size is not None and row.max() >= size[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found index {row.max()}"
            )


def smallest_shape(coordinates, kept):
    extents = coordinates.max(axis=1) + 1 if coordinates.size else np.zeros(len(coordinates), np.int64)
    return (*extents.tolist(), *kept.shape[1:])


def check_layout(layout, blocksize=None):
    """Raise NotImplementedError for every sparse layout but the coordinate one, by its name."""
    if layout not in (None, dtypes.sparse_coo):
        raise NotImplementedError(f"wengert has no {layout} layout; of the sparse ones only torch.sparse_coo")
    if blocksize is not None:
        raise NotImplementedError("wengert has no blocked sparse layouts (blocksize=...); only torch.sparse_coo")


def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """This dense tensor as a coalesced sparse one.

    Args:
        sparse_dim: how many of the first dimensions get coordinates (default: all).
        layout: ``torch.sparse_coo`` (the default), ``torch.sparse_csr`` or ``torch.sparse_csc``.
    """
    if isinstance(sparse_dim, dtypes.layout):
        sparse_dim, layout = None, sparse_dim
    if layout in COMPRESSED_LAYOUTS:
        return compressed(self, layout, blocksize)
    check_layout(layout, blocksize)
    if dense_dim is not None:
        raise NotImplementedError("to_sparse(): dense_dim is for layouts that wengert doesn't have")
    ndim = self.ndim
    count = ndim if sparse_dim is None else sparse_dim
    if not (0 < count <= ndim or (ndim == 0 and count == 0)):
        raise RuntimeError(
            f"dense_to_sparse: sparse_dim argument must be in [0,{ndim}] range, but {count} is given"
        )
    array = self._array
    extents = array.shape[:count]
    rows = array.reshape(math.prod(extents), -1)
    keys = np.flatnonzero((rows != 0).any(axis=1))
    values = sparse_from(take(self.reshape(math.prod(extents), *array.shape[count:]), keys, 0))
    return make(coordinates_of(keys, extents), values, array.shape, True)


def sparse_mask(self, mask):
    """The elements of this tensor at the coordinates of `mask`, a sparse tensor of the same shape."""
    if not isinstance(mask, SparseTensor):
        raise RuntimeError("sparse_mask(): mask must be a sparse COO tensor")
    if self.shape != mask.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(self.shape)} but mask has size "
            f"{list(mask.shape)}"
        )
    if isinstance(self, SparseTensor):
        if same_coordinates(self, mask):
            return mask._like(self._kept)
        self = self.to_dense()
    return mask._like(at_coordinates(self, mask))


COMPRESSED_LAYOUTS = (dtypes.sparse_csr, dtypes.sparse_csc)


def compressed(matrix, layout, blocksize=None):
    """The matrix in a compressed layout."""
    from wengert.ops import compressed as family  # stands above this module, which needs it only here

    return family.compressed(matrix, layout, blocksize)


def at_coordinates(dense, sparse):
    """The values of a dense tensor where a sparse one of the same shape has its own."""
    extents = sparse._array.shape[: sparse.sparse_dim()]
    return take(dense.reshape(math.prod(extents), *sparse._array.shape[len(extents) :]), keys_of(sparse), 0)


def same_coordinates(a, b):
    return a._coordinates is b._coordinates or np.array_equal(a._coordinates._array, b._coordinates._array)


CONVERSIONS = {
    **{name: name for name in "double float half bfloat16 int long short cfloat cdouble bool".split()},  # noqa: SIM905
    "char": "int8", "byte": "uint8",
}  # fmt: skip


def conversion(dtype):
    return lambda input, memory_format=None: input.to(dtype)


HANDLERS |= {name: conversion(dtypes.BY_NAME[dtype]) for name, dtype in CONVERSIONS.items()}

# --- elementwise ------------------------------------------------------------------------------------------------------

# Functions that are zero at zero act on the values; all but the linear ones need these to be whole.
LINEAR = "neg negative positive"
ZERO_AT_ZERO = """
    abs absolute sqrt square sin sinh tan tanh asin arcsin asinh arcsinh atan arctan atanh arctanh ceil floor round
    trunc fix frac sign sgn expm1 log1p relu erf erfinv deg2rad rad2deg isnan isinf isposinf isneginf signbit real imag
    """


def on_values(name, linear):
    def handler(input, *args, **kwargs):
        whole = input if linear else input.coalesce()
        return whole._like(METHODS[name].function(whole._kept, *args, **kwargs))

    return handler


for _name in (LINEAR + ZERO_AT_ZERO).split():
    if _name in METHODS:
        HANDLERS[_name] = on_values(_name, _name in LINEAR.split())


@handles("pow")
def power(input, exponent):
    if isinstance(exponent, Tensor) or not isinstance(input, SparseTensor):
        raise NotImplementedError("pow(): a sparse tensor takes a number as exponent")
    whole = input.coalesce()
    return whole._like(whole._kept**exponent)


def must_match(name, a, b):
    if a.shape != b.shape:
        raise RuntimeError(
            f"{name}: expected sizes of 'self' and 'other' to match, but {list(a.shape)} != {list(b.shape)}"
        )


@handles("add")
def add(input, other, *, alpha=1):
    if not isinstance(input, SparseTensor):
        return add_to_dense(input, other, alpha)
    if not isinstance(other, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    must_match("add", input, other)
    coalesced = input._coalesced and other._coalesced
    if same_coordinates(input, other):
        values = input._kept.add(other._kept, alpha=alpha)
        return make(input._coordinates, values, input._array.shape, coalesced)
    if input.sparse_dim() != other.sparse_dim():
        raise RuntimeError("add: expected 'self' and 'other' to have same number of sparse dimensions")
    joined = make(
        wrap(np.concatenate([input._coordinates._array, other._coordinates._array], axis=1)),
        cat([input._kept, other._kept if alpha == 1 else other._kept * alpha]), input._array.shape,
    )  # fmt: skip
    return joined.coalesce() if coalesced else joined


def add_to_dense(input, other, alpha):
    if not isinstance(input, Tensor):
        raise TypeError("add(): a number can't be added to a sparse tensor, whose zeros are not kept")
    return input.add(other.to_dense(), alpha=alpha)


@handles("sub", "subtract")
def sub(input, other, *, alpha=1):
    if isinstance(input, Tensor) and not isinstance(input, SparseTensor):
        return input.sub(other.to_dense(), alpha=alpha)
    return add(input, other, alpha=-alpha)


@handles("rsub")
def rsub(input, other, *, alpha=1):
    return add(other, input, alpha=-alpha)


@handles("mul", "multiply")
def mul(input, other):
    if not isinstance(input, SparseTensor):
        return mul(other, input)
    if not isinstance(other, Tensor) or not other.ndim:
        return input._like(input._kept * (other.to_dense() if isinstance(other, SparseTensor) else other))
    if not isinstance(other, SparseTensor):
        return input._like(input._kept * at_coordinates(other.expand(input._array.shape), input))
    must_match("mul", input, other)
    if same_coordinates(input, other):
        return input._like(input._kept * other._kept)
    first, second = input.coalesce(), other.coalesce()
    keys, ours, theirs = np.intersect1d(keys_of(first), keys_of(second), assume_unique=True, return_indices=True)
    values = take(first._kept, ours, 0) * take(second._kept, theirs, 0)
    return make(coordinates_of(keys, input._array.shape[: input.sparse_dim()]), values, input._array.shape, True)


@handles("div", "divide", "true_divide")
def div(input, other, *, rounding_mode=None):
    if not isinstance(input, SparseTensor) or (isinstance(other, Tensor) and other.ndim):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(getattr(other, 'shape', ()))} for divisor)"
        )
    whole = input if rounding_mode is None else input.coalesce()
    return whole._like(whole._kept.div(other, rounding_mode=rounding_mode))


def in_place(function):
    """The in-place form: the target gets the coordinates and values of the result."""

    def run(input, *args, **kwargs):
        if input._node is not None and input._leaf:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        return become(input, function(input, *args, **kwargs))

    return run


def become(target, source):
    """Let a sparse tensor have what another has."""
    if target._array.shape != source._array.shape:
        raise RuntimeError(f"a sparse tensor of size {list(target.shape)} can't become one of {list(source.shape)}")
    values = source._kept.to(target.dtype)
    target._coordinates, target._kept, target._node = source._coordinates, values, values._node
    target._coalesced = source._coalesced
    return target


def add_into(array, sparse, alpha):
    """array += alpha · sparse, one value after the other."""
    values = sparse._kept._array
    np.add.at(array, tuple(sparse._coordinates._array), values if alpha == 1 else values * values.dtype.type(alpha))


@handles("add_")
def add_(input, other, *, alpha=1):
    if isinstance(input, SparseTensor):
        return in_place(add)(input, other, alpha=alpha)
    if input.requires_grad or other.requires_grad or input.dtype is not other.dtype:
        return input.add_(other.to_dense(), alpha=alpha)
    must_match("add", input, other)
    add_into(input._array, other, alpha)
    bump(input)
    return input


@handles("sub_")
def sub_(input, other, *, alpha=1):
    return add_(input, other, alpha=-alpha)


def on_sparse_only(name, function):
    """The in-place form of `function`, for sparse targets."""

    def run(input, *args, **kwargs):
        if not isinstance(input, SparseTensor):
            raise NotImplementedError(f"{name}(): a dense tensor can't take up a sparse operand in place")
        return in_place(function)(input, *args, **kwargs)

    return run


IN_PLACE = {"mul_": mul, "div_": div, "neg_": HANDLERS["neg"], "abs_": HANDLERS["abs"], "pow_": power}
HANDLERS |= {name: on_sparse_only(name, function) for name, function in IN_PLACE.items()}


@handles("zero_")
def zero_(input):
    return become(input, zeros_like(input))


@handles("zeros_like")
def zeros_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):  # fmt: skip
    if layout is dtypes.strided:
        return full(input._array.shape, 0, dtype=dtype or input.dtype, requires_grad=requires_grad)
    check_layout(layout)
    values = full((0, *input._kept._array.shape[1:]), 0, dtype=dtype or input.dtype)
    empty = make(wrap(np.zeros((input.sparse_dim(), 0), np.int64)), values, input._array.shape, True)
    return empty.requires_grad_() if requires_grad else empty


@handles("copy_")
def copy_(input, src, non_blocking=False):
    if not (isinstance(input, SparseTensor) and isinstance(src, SparseTensor)):
        raise RuntimeError(
            f"copy_() between dense and sparse Tensors is not implemented! Found self type = {input.type()} and src "
            f"type = {src.type()}"
        )
    return become(input, src.clone())


# --- shape ------------------------------------------------------------------------------------------------------------


@handles("transpose", "swapaxes", "swapdims")
def transpose(input, dim0, dim1):
    order = list(range(input.ndim))
    first, second = wrap_dim(dim0, input.ndim), wrap_dim(dim1, input.ndim)
    order[first], order[second] = order[second], order[first]
    return permute(input, tuple(order))


@handles("t")
def t(input):
    if input.sparse_dim() > 2 or input.dense_dim():
        raise RuntimeError(
            f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got {input.sparse_dim()} sparse and "
            f"{input.dense_dim()} dense dimensions"
        )
    return transpose(input, 0, 1) if input.ndim == 2 else input


@handles("permute")
def permute(input, *dims):
    order = [wrap_dim(d, input.ndim) for d in (dims[0] if isinstance(dims[0], (tuple, list)) else dims)]
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError("permute(sparse_coo): repeated dims are not allowed, and all dimensions must be named")
    count = input.sparse_dim()
    if order == list(range(input.ndim)):
        return input
    if any(d >= count for d in order[:count]):
        raise RuntimeError("transpositions between sparse and dense dimensions are not allowed.")
    values = input._kept.permute(0, *(d - count + 1 for d in order[count:])) if input.dense_dim() else input._kept
    sparse_moved = order[:count] != list(range(count))
    coordinates = wrap(input._coordinates._array[order[:count]]) if sparse_moved else input._coordinates
    shape = [input._array.shape[d] for d in order]
    return make(coordinates, values, shape, input._coalesced and not sparse_moved)


@handles("unsqueeze")
def unsqueeze(input, dim):
    dim = wrap_dim(dim, input.ndim + 1)
    shape = (*input._array.shape[:dim], 1, *input._array.shape[dim:])
    count = input.sparse_dim()
    if dim > count:
        return make(input._coordinates, input._kept.unsqueeze(dim - count + 1), shape)
    return make(wrap(np.insert(input._coordinates._array, dim, 0, axis=0)), input._kept, shape)


@handles("select")
def select(input, dim, index):
    dim = wrap_dim(dim, input.ndim)
    extent = input._array.shape[dim]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    index %= extent
    count = input.sparse_dim()
    shape = input._array.shape[:dim] + input._array.shape[dim + 1 :]
    if dim >= count:
        return make(input._coordinates, input._kept.select(dim - count + 1, index), shape, input._coalesced)
    here = np.flatnonzero(input._coordinates._array[dim] == index)
    values = take(input._kept, here, 0)
    if count == 1:
        return values.sum(0)
    coordinates = np.delete(input._coordinates._array[:, here], dim, axis=0)
    return make(wrap(coordinates), values, shape, input._coalesced)


@handles("index_select")
def index_select(input, dim, index):
    dim = wrap_dim(dim, input.ndim)
    wanted = index._array.reshape(-1)
    extent = input._array.shape[dim]
    if wanted.size and not (wanted.min() >= -extent and wanted.max() < extent):
        raise IndexError(
            f"index_select(): index out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    wanted = wanted % max(extent, 1)
    count = input.sparse_dim()
    shape = (*input._array.shape[:dim], len(wanted), *input._array.shape[dim + 1 :])
    if dim >= count:
        return make(input._coordinates, input._kept.index_select(dim - count + 1, index), shape, input._coalesced)
    # For each wanted slice the values that lie in it: those of one slice stand together once they are sorted.
    own = input._coordinates._array[dim]
    order = np.argsort(own, kind="stable")
    first = np.searchsorted(own[order], wanted, "left")
    lengths = np.searchsorted(own[order], wanted, "right") - first
    places = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
    chosen = order[places]
    coordinates = input._coordinates._array[:, chosen].copy()
    coordinates[dim] = np.repeat(np.arange(len(wanted)), lengths)
    return make(wrap(coordinates), take(input._kept, chosen, 0), shape)


@handles("narrow", "narrow_copy")
def narrow_copy(input, dim, start, length):
    dim = wrap_dim(dim, input.ndim)
    return index_select(input, dim, wrap(np.arange(start, start + length)))


@handles("unbind")
def unbind(input, dim=0):
    return tuple(select(input, dim, i) for i in range(input._array.shape[wrap_dim(dim, input.ndim)]))


@handles("cat", "concat", "concatenate")
def concatenate(tensors, dim=0):
    if not all(isinstance(tensor, SparseTensor) for tensor in tensors):
        raise RuntimeError("Concatenating sparse tensors, but a dense tensor was found")
    first = tensors[0]
    dim = wrap_dim(dim, first.ndim)
    count = first.sparse_dim()
    if dim >= count:
        raise NotImplementedError("cat(): sparse tensors are joined along sparse dimensions only")
    parts, offset = [], 0
    for tensor in tensors:
        part = tensor._coordinates._array.copy()
        part[dim] += offset
        offset += tensor._array.shape[dim]
        parts.append(part)
    shape = (*first._array.shape[:dim], offset, *first._array.shape[dim + 1 :])
    return make(wrap(np.concatenate(parts, axis=1)), cat([tensor._kept for tensor in tensors]), shape)


@handles("stack")
def stack(tensors, dim=0):
    return concatenate([unsqueeze(tensor, dim) for tensor in tensors], dim)


# --- products ---------------------------------------------------------------------------------------------------------


def check_product(a, b):
    if a.ndim != 2 or b.ndim != 2:
        raise RuntimeError(f"matrices expected, got {a.ndim}D, {b.ndim}D tensors")
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and {b.shape[0]}x{b.shape[1]})"
        )
    if a.dtype is not b.dtype:
        names = (dtypes.SCALAR_NAMES[x.dtype] for x in (a, b))
        raise RuntimeError("expected scalar type {} but found {}".format(*names))


def dense_product(sparse, dense, operation=mm_product):
    """A sparse matrix times a dense one."""
    rows, columns = sparse._coordinates._array
    return operation(sparse._kept, dense, rows, columns, sparse._array.shape[0])


@handles("mm", "spmm")
def mm(input, mat2, operation=mm_product):
    check_product(input, mat2)
    if not isinstance(input, SparseTensor):
        return dense_product(t(mat2), input.t(), operation).t()
    if not isinstance(mat2, SparseTensor):
        return dense_product(input, mat2, operation)
    # Each value meets the row of the other matrix that its column names.
    other = mat2.coalesce()
    rows, columns = input._coordinates._array
    starts = np.searchsorted(other._coordinates._array[0], np.arange(mat2._array.shape[0] + 1))
    lengths = starts[columns + 1] - starts[columns]
    ours = np.repeat(np.arange(len(columns)), lengths)
    within = np.arange(len(ours)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    theirs = np.repeat(starts[columns], lengths) + within
    coordinates = np.stack([rows[ours], other._coordinates._array[1][theirs]])
    values = take(input._kept, ours, 0) * take(other._kept, theirs, 0)
    return make(wrap(coordinates), values, (input._array.shape[0], mat2._array.shape[1])).coalesce()


@handles("mv")
def mv(input, vec):
    check_product(input, vec.unsqueeze(1))
    return dense_product(input, vec.unsqueeze(1)).squeeze(1)


@handles("bmm")
def bmm(input, mat2):
    if not isinstance(input, SparseTensor) or input.sparse_dim() != 3:
        raise RuntimeError("bmm_sparse: Tensor 'mat2' must be dense and 'self' sparse in all three dimensions")
    b, n, m = input._array.shape
    batch, rows, columns = input._coordinates._array
    flat = mm_product(input._kept, mat2.reshape(b * m, -1), batch * n + rows, batch * m + columns, b * n)
    return flat.reshape(b, n, -1)


@handles("matmul")
def matmul(input, other):
    if input.ndim == 2 and other.ndim == 1:
        return mv(input, other)
    if input.ndim == other.ndim == 2:
        return mm(input, other)
    if input.ndim == other.ndim == 3:
        return bmm(input, other)
    raise NotImplementedError(f"matmul(): not for a sparse tensor with {input.ndim}D times {other.ndim}D")


@handles("addmm")
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    return input * beta + mm(mat1, mat2) * alpha


@handles("addmv")
def addmv(input, mat, vec, *, beta=1, alpha=1):
    return input * beta + mv(mat, vec) * alpha


def sparse_mm(mat1, mat2, reduce=None):
    """``torch.sparse.mm``: the product of a sparse matrix with a sparse or dense one.

    Args:
        mat1: (n, m), sparse; or dense with `mat2` sparse.
        mat2: (m, p).
        reduce: not supported: it is for the CSR layout.
    """
    if reduce is not None:
        raise NotImplementedError("torch.sparse.mm(): reduce is for the CSR layout, which wengert doesn't have")
    if not (isinstance(mat1, SparseTensor) or isinstance(mat2, SparseTensor)):
        return mat1.mm(mat2)
    return mm(mat1, mat2, sparse_product)


def sparse_addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0):
    """``torch.sparse.addmm``: beta · mat + alpha · (mat1 @ mat2), with `mat1` sparse and the others dense."""
    return mat * beta + sparse_mm(mat1, mat2) * alpha


def spmm(input, mat2):
    """``torch.spmm``: `torch.mm`, whatever the layout."""
    return mm(input, mat2) if isinstance(input, SparseTensor) or isinstance(mat2, SparseTensor) else input.mm(mat2)


def smm(input, mat):
    """``torch.smm``: the product of a sparse matrix with a dense one, as a sparse tensor."""
    return to_sparse(mm(input, mat))


# --- reductions -------------------------------------------------------------------------------------------------------


@handles("sum")
def sum(input, dim=None, keepdim=False, *, dtype=None):
    if dim is None:
        return input._kept.sum(dtype=dtype)
    dims = sorted({wrap_dim(d, input.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))})
    if not dims:
        dims = list(range(input.ndim))
    count, shape = input.sparse_dim(), input._array.shape
    values = input._kept
    dense = [d - count + 1 for d in dims if d >= count]
    if dense:
        values = values.sum(dense, dtype=dtype)
    elif dtype is not None:
        values = values.to(dtype)
    rest = [d for d in range(count) if d not in dims]
    if not rest:
        result = values.sum(0)
        return result.reshape([1 if d in dims else n for d, n in enumerate(shape)]) if keepdim else result
    coordinates = wrap(input._coordinates._array[rest])
    result = make(coordinates, values, [n for d, n in enumerate(shape) if d not in dims]).coalesce()
    if keepdim:
        for d in dims:
            result = unsqueeze(result, d)
    return result


@handles("norm")
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    if dim not in (None, [], ()):
        raise RuntimeError("norm_sparse currently does not support 'dim' arguments")
    return input.coalesce()._kept.norm(p, dtype=dtype)


def grouped_softmax(input, dim, dtype, logarithm):
    """Softmax over the values that are there, slice by slice: what is not kept counts as minus infinity."""
    whole = (input if dtype is None else input.to(dtype)).coalesce()
    dim = wrap_dim(dim, whole.ndim)
    count, values = whole.sparse_dim(), whole._kept
    if dim >= count:
        name = "log_softmax" if logarithm else "softmax"
        return whole._like(METHODS[name].function(values, dim - count + 1))
    others = np.delete(whole._coordinates._array, dim, axis=0)
    if len(others):
        _, group = np.unique(others, axis=1, return_inverse=True)
        group = group.reshape(-1)
    else:
        group = np.zeros(whole._nnz(), np.int64)
    groups = int(group.max()) + 1 if group.size else 0
    highest = np.full((groups, *values._array.shape[1:]), -np.inf, values._array.dtype)
    np.maximum.at(highest, group, values._array)
    shifted = values - wrap(highest[group])
    total = take(segment_sum(shifted.exp(), group, groups), group, 0)
    return whole._like(shifted - total.log() if logarithm else shifted.exp() / total)


def sparse_softmax(input, dim, *, dtype=None):
    """``torch.sparse.softmax``: softmax along `dim` over the values that are there."""
    return grouped_softmax(input, dim, dtype, False)


def sparse_log_softmax(input, dim, *, dtype=None):
    """``torch.sparse.log_softmax``: the logarithm of `softmax`."""
    return grouped_softmax(input, dim, dtype, True)


def sparse_sum(input, dim=None, dtype=None):
    """``torch.sparse.sum``: the sum over `dim`, a dimension or several; sparse unless no sparse dimension is left."""
    return sum(input, dim, dtype=dtype)


def spdiags(diagonals, offsets, shape, layout=None):
    """``torch.sparse.spdiags``: a sparse matrix with the rows of `diagonals` as its diagonals.

    Args:
        diagonals: (count, length) or (length,); element j of a row stands in column j.
        offsets: for each row, how far its diagonal lies above the main one.
        shape: of the result, two extents.
    """
    check_layout(layout)
    rows = diagonals.unsqueeze(0) if diagonals.ndim == 1 else diagonals
    above = np.atleast_1d(offsets._array)
    if len(above) != rows.shape[0]:
        raise RuntimeError(
            f"spdiags(): Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({len(above)})"
        )
    column = np.broadcast_to(np.arange(rows.shape[1]), tuple(rows.shape))
    row = column - above[:, None]
    kept = (row >= 0) & (row < shape[0]) & (column < shape[1])
    chosen = np.flatnonzero(kept)
    values = take(rows.reshape(-1), chosen, 0)
    return make(wrap(np.stack([row[kept], column[kept]])), values, shape)


# --- methods of dense tensors -----------------------------------------------------------------------------------------


def refuse_dense(name, message):
    def method(self, *args, **kwargs):
        raise RuntimeError(message)

    method.__name__ = name
    method.__doc__ = "Refused: only sparse tensors have it."
    return method


def refuse_layout(name):
    """A maker of another sparse layout, refused by its name."""

    def function(*args, **kwargs):
        raise NotImplementedError(f"{name}(): of the sparse layouts wengert has sparse_coo, sparse_csr and sparse_csc")

    return named(function, "wengert", name, "Refused: wengert has no sparse tensors of blocks.")


OTHER_LAYOUTS = ("sparse_bsr_tensor", "sparse_bsc_tensor")
globals().update({name: refuse_layout(name) for name in OTHER_LAYOUTS})

for _name in ("to_sparse_bsr", "to_sparse_bsc"):
    setattr(Tensor, _name, refuse_layout(_name))
for _name, _message in {
    "values": "values expected sparse tensor layout but got Strided",
    "indices": "indices expected sparse coordinate tensor layout but got Strided",
    "coalesce": "coalesce expected sparse coordinate tensor layout but got Strided",
    "_values": "_values expected sparse coordinate tensor layout but got Strided",
    "_indices": "_indices expected sparse coordinate tensor layout but got Strided",
    "_nnz": "_nnz expected sparse coordinate tensor layout but got Strided",
}.items():
    if _name not in SparseTensor.__dict__:
        raise AttributeError(_name)
    setattr(Tensor, _name, refuse_dense(_name, _message))
Tensor.to_sparse = to_sparse
Tensor.to_sparse_coo = to_sparse
Tensor.sparse_mask = sparse_mask
Tensor.sparse_dim = lambda self: 0
Tensor.dense_dim = lambda self: self.ndim
Tensor.smm = smm
