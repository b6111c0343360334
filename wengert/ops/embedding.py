"""Rows of a table: embeddings, bags of them, and one-hot vectors.

Looking rows up is linear in the table; `spread_rows` is its transpose.
"""

import numpy as np

from wengert import dtypes
from wengert.autograd import views
from wengert.kernels.indexing import accumulate_rows
from wengert.kernels.sparse import SparseArray
from wengert.ops.declare import composite, primitive
from wengert.tensor import wrap

HIDDEN = {"function": False, "method": False}


def _rows(weight, indices, padding_idx=-1, scale_grad_by_freq=False):
    return weight.take(indices, 0)


def _spread(c, indices, count, padding_idx, scale_grad_by_freq):
    flat = indices.reshape(-1)
    rows = c.reshape(len(flat), c.shape[-1])
    if scale_grad_by_freq and len(flat):
        rows = rows / np.bincount(flat, minlength=count)[flat][:, None].astype(rows.dtype)
    if padding_idx >= 0:
        keep = flat != padding_idx
        flat, rows = flat[keep], rows[keep]
    half = rows.dtype.itemsize == 2
    out = np.zeros((count, rows.shape[1]), np.float32 if half else rows.dtype)
    accumulate_rows(out, flat, rows.astype(out.dtype, copy=False))
    return out.astype(c.dtype, copy=False)


rows_of = primitive(
    "embedding", _rows, **HIDDEN, tensors=("weight",),
    weight=lambda g, indices, padding_idx, scale_grad_by_freq, weight_shape: spread_rows(
        g, indices, weight_shape[0], padding_idx, scale_grad_by_freq
    ),
)  # fmt: skip


def read_back(g, indices, padding_idx, scale_grad_by_freq):
    """The transpose of `spread_rows`: look rows up, those of the padding as zero, each over its number of uses."""
    rows = rows_of(g, indices)
    factor = np.ones(indices.shape, np.float64)
    if padding_idx >= 0:
        factor[indices == padding_idx] = 0
    if scale_grad_by_freq and indices.size:
        factor /= np.bincount(indices.reshape(-1))[indices]
    return rows * wrap(factor[..., None].astype(rows._array.dtype))


read_back._on_tensors = True
read_back._on_arrays = lambda g, indices, padding_idx, scale_grad_by_freq: _read_back(
    g, indices, padding_idx, scale_grad_by_freq
)


def _read_back(g, indices, padding_idx, scale_grad_by_freq):
    rows = g.take(indices, 0)
    if padding_idx >= 0:
        rows[indices == padding_idx] = 0
    if scale_grad_by_freq and indices.size:
        rows = rows / np.bincount(indices.reshape(-1))[indices][..., None].astype(rows.dtype)
    return rows


spread_rows = primitive(
    "embedding_backward", _spread, **HIDDEN, tensors=("c",),
    c=lambda g, indices, padding_idx, scale_grad_by_freq: read_back(g, indices, padding_idx, scale_grad_by_freq),
)  # fmt: skip


def sparse_rows(g, indices, weight_shape, padding_idx, scale_grad_by_freq):
    """The gradient of `rows_of` as a sparse tensor."""
    from wengert.ops.sparse import make

    flat = indices.reshape(-1)
    values = g.reshape(len(flat), weight_shape[1])
    if scale_grad_by_freq and len(flat):
        values = values / wrap(np.bincount(flat)[flat][:, None].astype(values._array.dtype))
    if padding_idx >= 0:
        kept = np.flatnonzero(flat != padding_idx)
        flat, values = flat[kept], values[wrap(kept)]
    return make(wrap(flat[None].astype(np.int64)), values, weight_shape)


def _sparse_rows(g, indices, weight_shape, padding_idx, scale_grad_by_freq):
    flat = indices.reshape(-1)
    values = g.reshape(len(flat), weight_shape[1])
    if scale_grad_by_freq and len(flat):
        values = values / np.bincount(flat)[flat][:, None].astype(values.dtype)
    if padding_idx >= 0:
        flat, values = flat[flat != padding_idx], values[flat != padding_idx]
    return SparseArray(flat.astype(np.int64), values, weight_shape)


sparse_rows._on_tensors = True
sparse_rows._on_arrays = _sparse_rows
rows_with_sparse_gradient = primitive(
    "embedding", _rows, **HIDDEN, tensors=("weight",),
    weight=lambda g, indices, padding_idx, scale_grad_by_freq, weight_shape: sparse_rows(
        g, indices, weight_shape, padding_idx, scale_grad_by_freq
    ),
)  # fmt: skip


def look_up(weight, indices, padding_idx, scale_grad_by_freq, sparse):
    """Rows of `weight`, which then gets a dense gradient, or a `sparse` one."""
    if not sparse:
        return rows_of(weight, indices, padding_idx, scale_grad_by_freq)
    return rows_with_sparse_gradient(weight, indices, padding_idx, scale_grad_by_freq)


def checked_indices(input, count, function="embedding", one_by_one=False):
    """The indices as an array; raises unless they are ints that name rows (PyTorch has other words where it meets
    them `one_by_one`).
    """
    must_be_integral(input, function)
    indices = input._array
    if indices.size and not (indices.min() >= 0 and indices.max() < count):
        if function == "embedding":
            raise IndexError("index out of range in self")
        where = int(np.flatnonzero((indices < 0) | (indices >= count))[0])
        if one_by_one:
            raise RuntimeError(
                f"{function}: Expected idx >= 0 && idx < num_embeddings but found idx to be {indices.flat[where]}"
            )
        raise RuntimeError(
            f"Index {where} of input takes value {indices.flat[where]} which is not in the valid range [0, {count})"
        )
    return indices


def must_be_integral(indices, function):
    if indices.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{dtypes.SCALAR_NAMES[indices.dtype]}Tensor instead (while checking arguments for {function})"
        )


@composite(namespace="nn.functional", method=False)
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """Rows of a table.

    Args:
        input: indices of any shape, int64 or int32.
        weight: (rows, width).
        padding_idx: a row that receives no gradient.
        max_norm: rows looked up that are longer (in the `norm_type`-norm) are first shortened to this, in place.
        scale_grad_by_freq: divide the gradient of each row by how often it was looked up.
        sparse: the gradient is a sparse tensor.

    Returns:
        (*input.shape, width).
    """
    padding_idx = wrapped_padding(padding_idx, weight)
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    indices = checked_indices(input, weight.shape[0])
    if max_norm is not None:
        shorten(weight, indices, max_norm, norm_type)
    return look_up(weight, indices, padding_idx, scale_grad_by_freq, sparse)


def wrapped_padding(padding_idx, weight):
    if padding_idx is None:
        return -1
    count = weight.shape[0]
    if not -count <= padding_idx < count:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % count


def shorten(weight, indices, max_norm, norm_type):
    """Bring the rows looked up to `max_norm` at most, in place and unseen by autograd."""
    if weight.requires_grad and not weight.is_leaf:
        raise RuntimeError("Cannot use max_norm on a weight that was computed: it is changed in place")
    used = np.unique(indices)
    rows = weight._array[used]
    lengths = np.linalg.norm(rows, norm_type, axis=1)
    long = lengths > max_norm
    if long.any():
        weight._array[used[long]] = rows[long] * (max_norm / (lengths[long] + 1e-7))[:, None].astype(rows.dtype)
        views.bump(weight)


@composite(method=False, name="embedding")
def torch_embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """`nn.functional.embedding` with its arguments in the order of `torch.embedding`."""
    return embedding.kernel(
        indices, weight, None if padding_idx < 0 else padding_idx, None, 2.0, scale_grad_by_freq, sparse
    )


@composite(namespace="nn.functional", method=False)
def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """The sum, mean or maximum of several rows of a table at a time.

    Args:
        input: (bags, length), or (total,) with `offsets`, the start of each bag.
        weight: (rows, width).
        per_sample_weights: of the shape of `input`, factors of the rows (mode "sum").
        include_last_offset: whether `offsets` ends with the total.
        padding_idx: rows of this index do not count.
        sparse: the gradient of `weight` is a sparse tensor.

    Returns:
        (bags, width).
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the "
            f"same shape "
            f"as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                "sequences. "
                f"However, found offsets of type {type(offsets)}"
            )
        bags = np.repeat(np.arange(input.shape[0]), input.shape[1])
        count = input.shape[0]
    elif input.ndim == 1:
        bags, count = bags_from(offsets, input.shape[0], include_last_offset)
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            "(got mode="
            f"'{mode}'). Please open a feature request on GitHub."
        )
    check_options_of_bags(weight, mode, scale_grad_by_freq, sparse, per_sample_weights, padding_idx)
    one_by_one = mode == "max" or padding_idx is not None
    padding_idx = wrapped_padding(padding_idx, weight)
    # Without a single bag nothing is looked up, whatever the indices.
    indices = checked_indices(input, weight.shape[0], "embedding_bag", one_by_one).reshape(-1)[: len(bags)]
    if max_norm is not None:
        shorten(weight, indices, max_norm, norm_type)
    kept = indices != padding_idx
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    if not kept.all():
        indices, bags = indices[kept], bags[kept]
        factors = None if factors is None else factors[wrap(np.nonzero(kept)[0])]
    rows = look_up(weight, indices, -1, scale_grad_by_freq, sparse)
    if factors is not None:
        rows = rows * factors.unsqueeze(1)
    if mode == "max":
        return bag_maximum(rows, bags, count)
    total = spread_rows(rows, bags, count, -1, False)
    if mode == "sum":
        return total
    sizes = np.maximum(np.bincount(bags, minlength=count), 1)
    return total / wrap(sizes[:, None].astype(total._array.dtype))


def check_options_of_bags(weight, mode, scale_grad_by_freq, sparse, per_sample_weights, padding_idx):
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if per_sample_weights is not None and per_sample_weights.dtype is not weight.dtype:
        names = [f"torch.{dtypes.SCALAR_NAMES[t.dtype]}Tensor" for t in (weight, per_sample_weights)]
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
            f"'per_sample_weights'; but type {names[0]} does not equal {names[1]} (while checking arguments for "
            "embedding_bag)"
        )
    count = weight.shape[0]
    if padding_idx is not None and not -count <= padding_idx < count:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, {-count} through {count - 1}, but got {padding_idx}"
        )


def bags_from(offsets, total, include_last_offset):
    """(the bag of each index, the number of bags)."""
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    must_be_integral(offsets, "embedding_bag")
    starts = offsets._array
    if not starts.size and include_last_offset:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if starts.size and starts[0] != 0:
        raise RuntimeError(
            f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {starts[0]}"
        )
    if starts.size and starts[-1] > total:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {total} but got offsets[-1] of {starts[-1]}"
        )
    if include_last_offset:
        starts = starts[:-1]
    ends = np.append(starts[1:], total) if len(starts) else starts
    return np.repeat(np.arange(len(starts)), ends - starts), len(starts)


def bag_maximum(rows, bags, count):
    """The maximum of each bag, element by element, zero for empty bags; the gradient goes to the first maximum."""
    values = rows._array
    width = values.shape[1]
    best = np.full((count, width), -np.inf, values.dtype)
    where = np.full((count, width), -1)
    for position, bag in enumerate(bags):
        better = values[position] > best[bag]
        best[bag][better] = values[position][better]
        where[bag][better] = position
    empty = where < 0
    if not len(bags):
        return rows.sum(0).repeat(count, 1)  # zeros, in the graph
    picked = rows.gather(0, wrap(np.maximum(where, 0)))
    return picked.masked_fill(wrap(empty), 0)


@composite(namespace="nn.functional", method=False)
def one_hot(tensor, num_classes=-1):
    """Each class as a vector with a one at its place: (*) → (*, num_classes), int64."""
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    classes = tensor._array
    if not classes.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.zeros((*classes.shape, num_classes), np.int64))
    if classes.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(classes.max()) + 1
    elif classes.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return wrap((classes[..., None] == np.arange(num_classes)).astype(np.int64, order="C"))
