"""Sparse matrices in compressed form: the coordinates of one dimension run-length encoded (CSR: rows, CSC: columns).

A `CompressedTensor` is a coordinate tensor that is shown otherwise. What is computed on it is computed on its
coordinate form, whose values it shares, and comes back in its layout (`ops.sparse` says what each operation does).
There are matrices with numbers for values; batches of them and blocks (BSR, BSC) are refused by name.
"""

import numpy as np

from wengert import dtypes, overrides
from wengert.absent import named
from wengert.autograd.graph import AccumulateGrad
from wengert.ops import sparse
from wengert.ops.creation import as_tensor
from wengert.ops.declare import flattened
from wengert.ops.sparse import SparseTensor
from wengert.tensor import Tensor, wrap

CSR, CSC = dtypes.sparse_csr, dtypes.sparse_csc
# Which dimension is compressed, and the names of the two parts.
COMPRESSED = {CSR: (0, "crow_indices", "col_indices"), CSC: (1, "ccol_indices", "row_indices")}
SHOWN = {CSR: "SparseCsr", CSC: "SparseCsc"}
# Operations whose sparse result has the other layout; of all others it has that of the argument.
TURNING = frozenset({"t", "transpose", "permute", "swapaxes", "swapdims", "T", "mT", "adjoint"})
COORDINATES_ONLY = ("coalesce", "is_coalesced", "indices", "_indices", "_values")
REFUSED = {
    "numpy": TypeError("can't convert {layout} layout tensor to numpy. Use Tensor.to_dense() first."),
}


def in_coordinates(value):
    """An argument with its compressed matrices in coordinate form."""
    if isinstance(value, CompressedTensor):
        return value.to_sparse_coo()
    return type(value)(map(in_coordinates, value)) if type(value) in (tuple, list) else value


class CompressedTensor(SparseTensor):
    """A sparse matrix of the layout ``torch.sparse_csr`` or ``torch.sparse_csc``."""

    is_sparse = False

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = sparse.name_of(func)
        kwargs = kwargs or {}
        given = [x for x in flattened((*args, *kwargs.values())) if isinstance(x, CompressedTensor)]
        if name in sparse.AS_THEY_STAND:
            with overrides.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if name in REFUSED:
            raise given[0].refusal(REFUSED[name])
        args, kwargs = in_coordinates(args), {key: in_coordinates(value) for key, value in kwargs.items()}
        if name in ("add", "add_") and not isinstance(args[1], SparseTensor):
            args = (args[1], args[0], *args[2:])  # a dense summand makes a dense sum, on whichever side
        return given[0].shown(SparseTensor.__torch_function__(func, types, args, kwargs), name)

    def shown(self, result, name=""):
        """The sparse matrices of a result in this tensor's layout, or in the other for what turns them round."""
        if not isinstance(result, SparseTensor) or result.ndim != 2 or name in ("select", "__getitem__"):
            return result
        return compressed(result, OTHER[self.layout] if name in TURNING else self.layout)

    def refusal(self, error):
        layout = SHOWN[self.layout]
        return type(error)(str(error).format(layout=layout, short=layout[-3:].upper()))

    @property
    def is_sparse_csr(self):
        return self.layout is CSR

    def _nnz(self):
        """How many values are kept."""
        return self._kept._array.shape[0]

    def values(self):
        """The values, (nnz,), in the graph."""
        return sparse.values_from(self._kept)

    def stride(self, dim=None):
        """Refused: there is no memory to step through."""
        raise self.refusal(RuntimeError("Sparse {short} tensors do not have strides"))

    def is_contiguous(self, memory_format=None):
        """Refused, like `stride`."""
        raise self.refusal(RuntimeError("Sparse {short} tensors do not have is_contiguous"))

    def pointers(self):
        """Where each row (column) begins among the values, and where the last ends."""
        dim = COMPRESSED[self.layout][0]
        counts = np.bincount(self._coordinates._array[dim], minlength=self._array.shape[dim])
        return wrap(np.concatenate([[0], np.cumsum(counts)]).astype(self._index_dtype.numpy), self._index_dtype)

    def plain_indices(self):
        """The column (row) of each value."""
        found = self._coordinates._array[1 - COMPRESSED[self.layout][0]]
        return wrap(found.astype(self._index_dtype.numpy), self._index_dtype)

    def to_dense(self, dtype=None, *, masked_grad=True):
        """An ordinary tensor of the same elements."""
        return self.to_sparse_coo().to_dense(dtype, masked_grad=masked_grad)

    def to_sparse_coo(self):
        """The same matrix in coordinate form."""
        coordinates, values = self._coordinates, self._kept
        if self.layout is CSC:
            order = np.lexsort(coordinates._array[::-1])
            coordinates, values = wrap(coordinates._array[:, order]), sparse.take(values, order, 0)
        keys = np.ravel_multi_index(tuple(coordinates._array), self._array.shape) if self._nnz() else np.zeros(0)
        return sparse.make(coordinates, values, self._array.shape, bool((np.diff(keys) > 0).all()))

    def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
        """The same matrix in coordinate form, or in the layout that is asked for."""
        return self.to_sparse_coo() if layout in (None, dtypes.sparse_coo) else compressed(self, layout, blocksize)

    def clone(self, *, memory_format=None):
        """A copy with values of its own."""
        return remade(self._coordinates, self._kept.clone(), self)

    def _like(self, values):
        return remade(self._coordinates, values, self)

    @property
    def T(self):
        return self.shown(sparse.permute(self.to_sparse_coo(), 1, 0), "T")

    @property
    def mT(self):
        return self.T

    def __repr__(self, *, tensor_contents=None):
        from wengert.printing import compressed_repr

        return compressed_repr(self, COMPRESSED[self.layout][1:])

    def __reduce_ex__(self, protocol):
        return rebuild, (
            self.pointers(), self.plain_indices(), self._kept.detach(), tuple(self._array.shape), str(self.layout),
        )  # fmt: skip


OTHER = {CSR: CSC, CSC: CSR}


def rebuild(pointers, plain, values, shape, layout):
    """What unpickling calls."""
    return sparse_compressed_tensor(pointers, plain, values, shape, layout={str(k): k for k in OTHER}[layout])


def refuse_coordinates(name):
    def method(self, *args, **kwargs):
        raise RuntimeError(
            f"{name} expected sparse coordinate tensor layout but got {SHOWN[self.layout]}"
        )

    return named(method, "wengert", name, "Refused: only the coordinate form has it.")


def part(name, layout, which):
    """The method `name`, which only tensors of `layout` have."""

    def method(self):
        if getattr(self, "layout", None) is not layout or not isinstance(self, CompressedTensor):
            shown = SHOWN.get(self.layout, "Sparse" if self.layout is dtypes.sparse_coo else "Strided")
            wanted = "row" if layout is CSR else "column"
            raise RuntimeError(f"{name} expected sparse {wanted} compressed tensor layout but got {shown}")
        return self.pointers() if which == 0 else self.plain_indices()

    return named(method, "wengert", name, f"The {'pointers' if which == 0 else 'indices'} of a compressed matrix.")


for _name in COORDINATES_ONLY:
    setattr(CompressedTensor, _name, refuse_coordinates(_name))
for _layout, (_, *_names) in COMPRESSED.items():
    for _which, _name in enumerate(_names):
        setattr(Tensor, _name, part(_name, _layout, _which))
        setattr(CompressedTensor, _name, part(_name, _layout, _which))


# --- making them ------------------------------------------------------------------------------------------------------


def remade(coordinates, values, like, layout=None):
    if type(values._node) is AccumulateGrad:
        values = sparse.made_of(values)
    self = object.__new__(CompressedTensor)
    self._array, self.dtype = sparse.NoArray(tuple(like._array.shape), values._array.dtype), values.dtype
    self._node, self._counter, self._base = values._node, None, None
    self._coordinates, self._kept, self._coalesced, self._leaf = coordinates, values, False, False
    self.layout = layout or like.layout
    self._index_dtype = getattr(like, "_index_dtype", dtypes.int64)
    return self


def compressed(matrix, layout, blocksize=None):
    """A dense or sparse matrix in this layout."""
    if layout not in OTHER or blocksize is not None:
        raise NotImplementedError(f"{layout}: of the compressed layouts wengert has sparse_csr and sparse_csc")
    if isinstance(matrix, CompressedTensor) and matrix.layout is layout:
        return matrix
    if matrix.ndim != 2:
        raise RuntimeError(
            f"to_sparse_{str(layout)[-3:]}: Only tensors with two dimensions can be converted to the {SHOWN[layout]} "
            f"layout but got a tensor of {matrix.ndim}"
        )
    whole = matrix.to_sparse_coo() if isinstance(matrix, CompressedTensor) else matrix.to_sparse().coalesce()
    if whole.dense_dim():
        raise NotImplementedError("compressed sparse tensors with dense dimensions: wengert has matrices of numbers")
    coordinates, values = whole._coordinates, whole._kept
    if layout is CSC:
        order = np.lexsort(coordinates._array)
        coordinates, values = wrap(coordinates._array[:, order]), sparse.take(values, order, 0)
    return remade(coordinates, values, matrix, layout)


def sparse_compressed_tensor(
    compressed_indices, plain_indices, values, size=None, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False, check_invariants=None,
):  # fmt: skip
    """A sparse matrix of the layout ``torch.sparse_csr`` or ``torch.sparse_csc``.

    Args:
        compressed_indices: (n + 1,), where each of the n rows (columns) begins among the values.
        plain_indices: (nnz,), the column (row) of each value.
        values: (nnz,).
        size: the shape, else as small as the indices allow.
        check_invariants: check that the indices are in range and sorted.
    Raises:
        RuntimeError: the parts don't fit together.
        NotImplementedError: batches of matrices, values that are blocks or vectors, and other layouts.
    """
    sparse.check_device(device)
    if pin_memory:
        raise NotImplementedError("sparse_compressed_tensor(): pin_memory is not supported")
    if layout not in OTHER:
        if layout is None:
            raise RuntimeError("sparse_compressed_tensor expected sparse compressed tensor layout but got Strided")
        raise NotImplementedError(f"{layout}: of the compressed layouts wengert has sparse_csr and sparse_csc")
    pointers, plain = as_tensor(compressed_indices), as_tensor(plain_indices)
    kept = as_tensor(values, dtype=dtype)
    if not pointers.ndim == plain.ndim == kept.ndim == 1:
        raise NotImplementedError("batched or blocked compressed tensors: wengert has matrices of numbers")
    starts, others = pointers._array.astype(np.int64), plain._array.astype(np.int64)
    dim, *names = COMPRESSED[layout]
    count = len(starts) - 1
    if size is None:
        size = [0, 0]
        size[dim], size[1 - dim] = count, int(others.max(initial=-1)) + 1
    size = tuple(size)
    check_parts(starts, others, kept, size, dim, names, check_invariants)
    coordinates = np.empty((2, len(others)), np.int64)
    lengths = np.diff(starts)
    coordinates[dim] = np.repeat(np.arange(count), lengths) if lengths.sum() == len(others) else 0
    coordinates[1 - dim] = others
    shape = wrap(np.empty(0))
    shape._array = sparse.NoArray(size, kept._array.dtype)
    made = remade(wrap(coordinates), kept, shape, layout)
    made._index_dtype = plain.dtype
    return made.requires_grad_() if requires_grad else made


def check_parts(starts, others, kept, size, dim, names, thorough):
    """Raise RuntimeError where pointers, indices and values contradict each other or the size."""
    pointers, plain = names
    if len(size) != 2:
        raise NotImplementedError("batched or blocked compressed tensors: wengert has matrices of numbers")
    if len(starts) != size[dim] + 1:
        raise RuntimeError(
            f"{pointers}.shape[-1] must be equal to the number of {'rows' if dim == 0 else 'columns'} + 1, but got "
            f"{len(starts)}"
        )
    if len(others) != len(kept):
        raise RuntimeError(f"number of {plain} must match the number of values, but got {len(others)} and {len(kept)}")
    if not thorough:
        return
    lengths, extent = np.diff(starts), "ncols" if dim == 0 else "nrows"
    for holds, rule in (
        (starts[0] == 0, f"{pointers}[..., 0] == 0"),
        (starts[-1] == len(others), f"{pointers}[..., -1] == nnz"),
        ((lengths >= 0).all() and (lengths <= size[1 - dim]).all(),
         f"0 <= {pointers}[..., 1:] - {pointers}[..., :-1] <= {extent}"),
        (not others.size or (others.min() >= 0 and others.max() < size[1 - dim]), f"0 <= {plain} < {extent}"),
    ):  # fmt: skip
        if not holds:
            raise RuntimeError(f"`{rule}` is not satisfied.")


def maker(name, layout):
    def function(compressed_indices, plain_indices, values, size=None, **options):
        return sparse_compressed_tensor(compressed_indices, plain_indices, values, size, layout=layout, **options)

    pointers, plain = COMPRESSED[layout][1:]
    return named(
        function, "wengert", name, f"A sparse matrix of {pointers}, {plain} and values; see sparse_compressed_tensor."
    )


sparse_csr_tensor, sparse_csc_tensor = maker("sparse_csr_tensor", CSR), maker("sparse_csc_tensor", CSC)


def to_sparse_csr(self, dense_dim=None):
    """This matrix with its rows compressed."""
    return compressed(self, CSR, dense_dim)


def to_sparse_csc(self, dense_dim=None):
    """This matrix with its columns compressed."""
    return compressed(self, CSC, dense_dim)


for _kind in (Tensor, SparseTensor):
    _kind.to_sparse_csr, _kind.to_sparse_csc = to_sparse_csr, to_sparse_csc
