"""What networks are made of, under `torch` itself: the functions beneath those of `torch.nn.functional`.

Their arguments are those of PyTorch's core: a reduction or a mode is a number, tensors come first. A reduction that is
left out is "none" here, as it is in PyTorch, though its core's own default is "mean". Each says the same as the
function of `nn.functional` of its name, and is said with it.
"""

import numpy as np

from wengert.kernels.indexing import embedding_renorm_ as renorm
from wengert.ops import embedding, losses, resampling
from wengert.ops.declare import FUNCTIONS, composite
from wengert.ops.normalization import batch_norm, group_norm, layer_norm
from wengert.ops.reductions import mean, norm, var
from wengert.ops.shape import slice_along
from wengert.tensor import Tensor, wrap

REDUCTIONS = ("none", "mean", "sum")
BAG_MODES = ("sum", "mean", "max")
INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
BORDERS = ("zeros", "border", "reflection")


def functional(name):
    """The function of `torch.nn.functional` of this name."""
    return FUNCTIONS["nn.functional"][name].function


def chosen(names, number, what):
    """The name that PyTorch's core gives this number."""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(names):
        raise RuntimeError(
            f"{what} must be one of {', '.join(f'{i} ({n})' for i, n in enumerate(names))}; got {number}"
        )
    return names[number]


def reduction_name(reduction):
    return chosen(REDUCTIONS, reduction, "reduction")


# --- losses -----------------------------------------------------------------------------------------------------------


@composite(method=False)
def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=0):
    """`nn.functional.binary_cross_entropy_with_logits`."""
    return functional("binary_cross_entropy_with_logits")(
        input, target, weight, reduction=reduction_name(reduction), pos_weight=pos_weight
    )


@composite(method=False)
def kl_div(input, target, reduction=0, *, log_target=False):
    """`nn.functional.kl_div`, "mean" over the elements."""
    loss = losses.kl_div.kernel(input, target, reduction="none", log_target=log_target)
    return {0: lambda x: x, 1: lambda x: x.mean(), 2: lambda x: x.sum()}[REDUCTIONS.index(reduction_name(reduction))](
        loss
    )


@composite(method=False)
def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """`nn.functional.poisson_nll_loss`."""
    return functional("poisson_nll_loss")(
        input, target, log_input=log_input, full=full, eps=eps, reduction=reduction_name(reduction)
    )


@composite(method=False)
def hinge_embedding_loss(input, target, margin=1.0, reduction=0):
    """`nn.functional.hinge_embedding_loss`."""
    return functional("hinge_embedding_loss")(input, target, margin=margin, reduction=reduction_name(reduction))


@composite(method=False)
def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=0):
    """`nn.functional.cosine_embedding_loss`."""
    return functional("cosine_embedding_loss")(
        input1, input2, target, margin=margin, reduction=reduction_name(reduction)
    )


@composite(method=False)
def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=0):
    """`nn.functional.margin_ranking_loss`."""
    return functional("margin_ranking_loss")(input1, input2, target, margin=margin, reduction=reduction_name(reduction))


@composite(method=False)
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction=0):
    """`nn.functional.triplet_margin_loss`."""
    return functional("triplet_margin_loss")(
        anchor, positive, negative, margin=margin, p=p, eps=eps, swap=swap, reduction=reduction_name(reduction)
    )


@composite(method=False)
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction=0, zero_infinity=False):
    """`nn.functional.ctc_loss`."""
    return functional("ctc_loss")(
        log_probs, targets, input_lengths, target_lengths, blank, reduction_name(reduction), zero_infinity
    )


# --- tables -----------------------------------------------------------------------------------------------------------


@composite(method=False)
def embedding_bag(
    weight, indices, offsets, scale_grad_by_freq=False, mode=0, sparse=False, per_sample_weights=None,
    include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """`nn.functional.embedding_bag` with what it found on the way.

    Returns:
        The bags (bags, width); the bag of each index (nothing for sums without `padding_idx`); for means and maxima the
        number of indices in each bag; and for maxima the index that attained each (bags, width).
    """
    kind = chosen(BAG_MODES, mode, "mode")
    out = functional("embedding_bag")(
        indices, weight, offsets, scale_grad_by_freq=scale_grad_by_freq, mode=kind, sparse=sparse,
        per_sample_weights=per_sample_weights, include_last_offset=include_last_offset, padding_idx=padding_idx,
    )  # fmt: skip
    bags, count = embedding.bags_from(offsets, indices.shape[0], include_last_offset)
    kept = indices._array != embedding.wrapped_padding(padding_idx, weight)
    sizes = np.zeros(count, np.int64) if kind == "sum" else np.bincount(bags[kept], minlength=count)
    best = sizes.copy()
    if kind == "max":
        best = np.zeros(out.shape, np.int64)
        for row, bag in zip(indices._array[kept][::-1], bags[kept][::-1], strict=True):
            best[bag][weight._array[row] == out._array[bag]] = row
    shown = bags[:0] if kind == "sum" and padding_idx is None else bags
    return out, *(wrap(found.astype(indices.dtype.numpy)) for found in (shown, sizes, best))


@composite(method=False)
def embedding_renorm_(input, indices, max_norm, norm_type):
    """Shorten, in place, the rows of `input` (rows, width) that `indices` names to at most `max_norm`."""
    from wengert.autograd.views import bump

    renorm(input._array, indices._array, max_norm, norm_type)
    bump(input)
    return input


# --- images -----------------------------------------------------------------------------------------------------------


@composite(method=False, alias=("grid_sampler_2d", "grid_sampler_3d"))
def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """`nn.functional.grid_sample`."""
    return resampling.grid_sample.kernel(
        input, grid, chosen(INTERPOLATIONS, interpolation_mode, "interpolation_mode"),
        chosen(BORDERS, padding_mode, "padding_mode"), align_corners,
    )  # fmt: skip


@composite(method=False)
def affine_grid_generator(theta, size, align_corners):
    """`nn.functional.affine_grid`."""
    return resampling.affine_grid.kernel(theta, size, align_corners)


# --- normalization ----------------------------------------------------------------------------------------------------


def statistics(input, dims, shape, eps):
    """The mean, and one over the root of the variance, over `dims`, in `shape`."""
    spread = (var(input, dims, correction=0) + eps).rsqrt()
    return mean(input, dims).reshape(shape).detach(), spread.reshape(shape).detach()


@composite(method=False)
def native_layer_norm(input, normalized_shape, weight, bias, eps):
    """`nn.functional.layer_norm` with the mean and one over the root of the variance of each vector."""
    count = len(normalized_shape)
    dims = tuple(range(-count, 0))
    shape = tuple(input.shape[: input.ndim - count]) + (1,) * count
    return (layer_norm.kernel(input, normalized_shape, weight, bias, eps), *statistics(input, dims, shape, eps))


@composite(method=False)
def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    """`nn.functional.group_norm` with the mean and one over the root of the variance of each group (N, group)."""
    found = statistics(input.reshape(N, group, -1), (-1,), (N, group), eps)
    return (group_norm.kernel(input, group, weight, bias, eps), *found)


@composite(method=False)
def native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps):
    """`nn.functional.batch_norm` with the mean and one over the root of the variance of the batch (empty if fixed)."""
    out = batch_norm.kernel(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return out, input.new_empty(0), input.new_empty(0)
    dims = tuple(d for d in range(input.ndim) if d != 1)
    return (out, *statistics(input, dims, (input.shape[1],), eps))


@composite(method=False)
def norm_except_dim(v, pow=2, dim=0):
    """The norm over all dimensions but `dim` (over all for -1), which is kept."""
    if dim == -1:
        return norm(v, pow)
    others = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return norm(v, pow, others, keepdim=True) if others else v.abs()


# --- segments ---------------------------------------------------------------------------------------------------------

SEGMENT_START = {"sum": 0.0, "mean": float("nan"), "prod": 1.0, "max": -float("inf"), "min": float("inf")}


@composite(method=False)
def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    """Reduce runs of `data` along its first dimension, each to one slice.

    Args:
        data: (total, ...), floating.
        reduce: "sum", "mean", "max", "min" or "prod".
        lengths: (segments,), the length of each run; or `offsets` (segments + 1,), where they begin and end.
        initial: where each reduction starts, and what an empty run gives.
    """
    if indices is not None:
        raise NotImplementedError("segment_reduce(): indices based reduction is not supported yet.")
    if axis != 0:
        raise NotImplementedError(f"segment_reduce(): axis={axis} is not supported, only 0")
    if reduce not in SEGMENT_START:
        raise RuntimeError(f"segment_reduce(): unsupported reduction {reduce!r}")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if (lengths is not None and lengths.ndim != 1) or (offsets is not None and offsets.ndim != 1):
        raise NotImplementedError("segment_reduce(): one row of segments is supported, lengths of several are not")
    ends = np.cumsum(lengths._array) if offsets is None else offsets._array[1:]
    starts = ends - lengths._array if offsets is None else offsets._array[:-1]
    if lengths is not None and not unsafe:
        if (lengths._array < 0).any():
            raise RuntimeError("lengths contains negative value!")
        if ends[-1:].sum() != data.shape[0]:
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1)"
            )
    from wengert import stack

    parts = [
        reduced_segment(slice_along(data, 0, int(a), int(b), 1), reduce, initial)
        for a, b in zip(starts, ends, strict=True)
    ]
    return stack(parts) if parts else data[:0]


def reduced_segment(run, reduce, initial):
    if not run.shape[0]:
        return run.new_full(run.shape[1:], SEGMENT_START[reduce] if initial is None else initial)
    if reduce in ("max", "min"):
        best = run.amax(0) if reduce == "max" else run.amin(0)
        limit = None if initial is None else run.new_full((), initial)
        return best if limit is None else (best.maximum(limit) if reduce == "max" else best.minimum(limit))
    if reduce == "prod":
        return run.prod(0) * (1 if initial is None else initial)
    total = run.sum(0) + (0 if initial is None else initial)
    return total / run.shape[0] if reduce == "mean" else total


# --- numbers that PyTorch's compiler would trace, and here are numbers ------------------------------------------------


def sym_int(a):
    """`a` as an int, rounded toward zero."""
    return int(a)


def sym_float(a):
    """`a` as a float."""
    return float(a)


def sym_not(a):
    """Whether `a` is false."""
    return not a


def sym_max(a, b):
    """The larger of two numbers, a float if either is one."""
    return max(float(a), float(b)) if isinstance(a, float) or isinstance(b, float) else max(a, b)


def sym_min(a, b):
    """The smaller of two numbers, a float if either is one."""
    return min(float(a), float(b)) if isinstance(a, float) or isinstance(b, float) else min(a, b)


def sym_sum(*args):
    """The sum of numbers, given one by one or as a sequence."""
    return sum(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)


def sym_ite(b, t, f):
    """`t` if `b`, else `f`."""
    return t if b else f


def sym_sqrt(a):
    """The square root of a number."""
    return float(a) ** 0.5


# --- retired ----------------------------------------------------------------------------------------------------------

RETIRED = {
    "eig": "torch.linalg.eig", "symeig": "torch.linalg.eigh", "lstsq": "torch.linalg.lstsq",
    "solve": "torch.linalg.solve", "matrix_rank": "torch.linalg.matrix_rank",
}  # fmt: skip


def retired(name):
    def function(*args, **kwargs):
        raise RuntimeError(
            "This function was deprecated since version 1.9 and is now removed. "
            f"`torch.{name}` is replaced by `{RETIRED[name]}`."
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Removed from PyTorch; raises RuntimeError, which names `{RETIRED[name]}`."
    return function


eig, symeig, lstsq, solve, matrix_rank = (retired(name) for name in ("eig", "symeig", "lstsq", "solve", "matrix_rank"))
for _name in ("eig", "symeig", "lstsq", "solve"):
    setattr(Tensor, _name, globals()[_name])
