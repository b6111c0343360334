"""Losses on arrays: those whose flat form matters on the hot path, and those with a recursion of their own (CTC)."""

from math import prod

import numpy as np

from wengert.dtypes import FROM_NUMPY, SCALAR_NAMES
from wengert.kernels.choices import offered, state

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def refuse(name, dtype, kinds="f"):
    """Raise PyTorch's refusal unless `dtype` is a float (or of another kind in `kinds`)."""
    known = FROM_NUMPY[dtype]
    if not known.is_floating_point and dtype.kind not in kinds:
        raise NotImplementedError(f"\"{name}\" not implemented for '{SCALAR_NAMES[known]}'")


def is_half(dtype):
    return dtype.itemsize == 2 and dtype.kind in "fV"


def reduce(values, reduction):
    """ "none", "mean" or "sum" over all elements; 16-bit floats are summed in 32 bits."""
    if reduction == "none":
        return values
    dtype = values.dtype
    total = np.add.reduce(values, None, np.float32 if is_half(dtype) else None)
    if reduction == "mean":
        total = total / total.dtype.type(values.size)
    return np.asarray(total, dtype)


# --- losses of corresponding elements --------------------------------------------------------------------------------
#
# Each is a formula for the elements; their mean or sum over large arrays is made as they are computed.


def combined(formula, name, input, target, reduction, *numbers):
    """The values of a formula, their mean or their sum; 16-bit floats are computed with in 32 bits."""
    dtype = input.dtype
    refuse(name, dtype)
    if reduction != "none":
        fast = offered("losses.combined", input.size, formula, input, target, reduction, *numbers)
        if fast is not None:
            return fast
    if is_half(dtype):
        input, target = input.astype(np.float32), target.astype(np.float32)
    return reduce(formula(input, target, *numbers).astype(dtype, copy=False), reduction)


def squared_difference(input, target):
    difference = input - target
    return difference * difference


def mse(input, target, reduction="mean"):
    if reduction == "none":
        return combined(squared_difference, "mse_cpu", input, target, reduction)
    if state.active:
        fast = offered("losses.combined", input.size, squared_difference, input, target, reduction)
        if fast is not None:
            return fast
    difference = input - target
    dtype = difference.dtype
    if dtype.kind != "f" or dtype.itemsize == 2:
        refuse("mse_cpu", dtype)
        difference = difference.astype(np.float32)
    flat = difference.ravel()
    total = flat.dot(flat)
    if reduction == "mean":
        total = total / flat.size if flat.size else total * np.nan
    return np.asarray(total, dtype)


def smooth_l1_values(input, target, beta):
    size = np.abs(input - target)
    return np.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta) if beta else size


def smooth_l1(input, target, reduction="mean", beta=1.0):
    return combined(smooth_l1_values, "smooth_l1_cpu", input, target, reduction, beta)


def huber_values(input, target, delta):
    size = np.abs(input - target)
    return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))


def huber(input, target, reduction="mean", delta=1.0):
    return combined(huber_values, "huber_cpu", input, target, reduction, delta)


def bce_values(input, target):
    # A logarithm of 0 counts as -100, so that the loss stays finite.
    no, yes = np.maximum(np.log1p(-input), -100), np.maximum(np.log(input), -100)
    return (target - 1) * no - target * yes


def bce(input, target, reduction="mean"):
    refuse("binary_cross_entropy", input.dtype)
    if input.size and not (input.min() >= 0 and input.max() <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    return combined(bce_values, "binary_cross_entropy", input, target, reduction)


def bce_with_logits_values(input, target):
    return (1 - target) * input - (np.minimum(input, 0) - np.log1p(np.exp(-np.abs(input))))


def bce_with_logits(input, target, reduction="mean"):
    return combined(bce_with_logits_values, "binary_cross_entropy_with_logits", input, target, reduction)


def soft_margin(input, target, reduction="mean"):
    refuse("soft_margin_loss", input.dtype)
    return reduce(np.log1p(np.exp(-target * input)), reduction)


def mse_gradient(g, input, target, reduction):
    slopes = input - target
    if reduction == "mean":
        g = g * (2 / max(slopes.size, 1))
        slopes *= g
    else:
        slopes *= 2 * g
    return slopes


# --- classification by class index -----------------------------------------------------------------------------------


def class_last(x):
    """(N, C, *space) as (positions, C); (C,) as (1, C)."""
    if x.ndim == 2:
        return x
    if x.ndim == 1:
        return x[None]
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def by_class(x):
    """`x` with its classes along axis 1: (N, C), or (N, C, positions) where memory allows it; (C,) as (1, C)."""
    if x.ndim < 3 or not x.flags.c_contiguous:
        return class_last(x)
    return x.reshape(*x.shape[:2], prod(x.shape[2:]))


def class_back(rows, shape):
    """The inverse of `class_last`."""
    if len(shape) == 2:
        return rows
    if len(shape) == 1:
        return rows[0]
    return np.ascontiguousarray(np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1))


def counted(target, classes, ignore_index):
    """(safe flat target, mask of targets that count or None for all); raises IndexError for classes that don't
    exist."""
    flat = target.ravel()
    if not flat.size:
        return flat, None
    if flat.dtype.kind == "u":
        flat = flat.astype(np.int64)
    if np.maximum.reduce(flat.view(np.uint64)) < classes:  # read as unsigned, negative numbers are large
        if 0 <= ignore_index < classes:
            mask = flat != ignore_index
            return flat, None if mask.all() else mask
        return flat, None
    mask = flat != ignore_index
    wrong = mask & ((flat < 0) | (flat >= classes))
    if wrong.any():
        raise IndexError(f"Target {flat[wrong][0]} is out of bounds.")
    return np.where(mask, flat, 0), mask


def places(x, flat):
    """Where the elements of the target classes lie in `x`, (N, C) or (N, C, positions), seen as one vector."""
    if x.ndim == 2:
        return np.arange(0, x.size, x.shape[1]) + flat
    _, classes, positions = x.shape
    starts = np.arange(0, x.size, classes * positions)[:, None] + np.arange(positions)
    return starts.reshape(-1) + flat * positions


def picked(x, flat):
    """The elements of the target classes: by one number each instead of two, in half the time."""
    return x.reshape(-1).take(places(x, flat))


def shares(target, classes, weight, ignore_index, reduction, dtype):
    """(flat target, the factor of each position in the reduced loss): weight of its class, over their sum for a
    mean."""
    flat, mask = counted(target, classes, ignore_index)
    if weight is None:
        share = np.ones(flat.shape, dtype) if mask is None else mask.astype(dtype)
    else:
        share = weight[flat] if mask is None else weight[flat] * mask
    if reduction == "mean":
        total = share.sum()
        share = share / total
    return flat, share.astype(dtype, copy=False)


def cross_entropy(input, target, ignore_index=-100, reduction="mean"):
    """-log softmax(input)[target] over dimension 1, all classes weighing the same: (N, C, *space), (N, *space).

    Returns:
        The loss, and what its gradient can use again: the exponentials of all scores and their sums.
    """
    dtype = input.dtype
    scores = by_class(input)
    if dtype is not F32 and dtype is not F64:
        refuse("log_softmax_lastdim_kernel_impl", dtype)
        scores = scores.astype(np.float32)
    flat, mask = counted(target, scores.shape[1], ignore_index)
    shifted = scores - np.maximum.reduce(scores, 1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = np.add.reduce(exponentials, 1, keepdims=True)
    losses = np.log(sums).reshape(-1)
    losses -= picked(shifted, flat)
    if mask is not None:
        losses[~mask] = 0
    kept = exponentials, sums
    if reduction == "none":
        return losses.reshape(target.shape).astype(dtype, copy=False), kept
    total = np.add.reduce(losses)
    if reduction == "mean":
        total = total / losses.dtype.type(len(losses) if mask is None else mask.sum())
    return np.asarray(total, dtype), kept


def cross_entropy_gradient(g, input, target, ignore_index, reduction, kept):
    """The cotangent of the input of `cross_entropy`: (softmax(input) - one-hot of target) times what reaches each
    position."""
    if type(kept) is tuple:
        exponentials, sums = kept
        p = exponentials / sums
    else:  # the logarithms of the sums, from the fast kernel
        p = np.exp((by_class(input) - kept).astype(input.dtype))
    flat, mask = counted(target, p.shape[1], ignore_index)
    if p.flags.c_contiguous:
        p.reshape(-1)[places(p, flat)] -= 1
    else:
        p[np.arange(len(flat)), flat] -= 1
    each = (p.shape[0], 1, *p.shape[2:])
    if reduction == "mean":
        g = g / p.dtype.type(len(flat) if mask is None else mask.sum())
    elif reduction == "none":
        g = g.reshape(each)
    p *= g
    if mask is not None:
        np.copyto(p, 0, where=~mask.reshape(each))
    back = class_back(p, input.shape) if p.ndim == 2 else p.reshape(input.shape)
    return back.astype(input.dtype, copy=False)


def one_hot_and_shares(target, input, ignore_index, reduction):
    """The parts of `cross_entropy_gradient` that do not depend on `input`, shaped to broadcast with it."""
    shape = input.shape
    classes = shape[1] if len(shape) > 1 else shape[0]
    flat, share = shares(target, classes, None, ignore_index, reduction, input.dtype)
    rows = np.zeros((len(flat), classes), input.dtype)
    rows[np.arange(len(flat)), flat] = 1
    each = (shape[0], 1, *shape[2:]) if len(shape) > 1 else (1,)
    return class_back(rows, shape), share.reshape(each)


def smooth_shares(target, ignore_index, weight, reduction, dtype):
    """How much each position counts in the smoothed part of a loss; in a mean the target's weights are the divisor."""
    flat = target.ravel()
    mask = flat != ignore_index
    share = mask.astype(dtype)
    if reduction == "mean":
        total = mask.sum() if weight is None else (weight._array[np.where(mask, flat, 0)] * mask).sum()
        share = share / dtype.type(total)
    return share


def nll(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Minus the given log-probability of the target class, weighted by class."""
    refuse("nll_loss_out_frame" if input.ndim < 3 else "nll_loss2d_forward_out_frame", input.dtype)
    rows, dtype = by_class(input), input.dtype
    if weight is None and (dtype is F32 or dtype is F64) and target.size:
        flat, mask = counted(target, rows.shape[1], ignore_index)
        if mask is None:  # all count the same
            losses = np.negative(picked(rows, flat))
            if reduction == "none":
                return losses.reshape(target.shape)
            total = np.add.reduce(losses)
            return np.asarray(total / dtype.type(len(flat)) if reduction == "mean" else total)
    flat, share = shares(target, rows.shape[1], weight, ignore_index, reduction, dtype)
    losses = np.where(share == 0, 0, -picked(rows, flat) * share).astype(input.dtype, copy=False)
    if reduction == "none":
        return losses.reshape(target.shape)
    if reduction == "mean" and not (share != 0).any():
        return np.asarray(np.nan, input.dtype)
    return reduce(losses, "sum")


def nll_spread(c, target, weight, ignore_index, reduction, shape):
    """The transpose of `nll`, which is linear in its input."""
    classes = shape[1] if len(shape) > 1 else shape[0]
    flat, share = shares(target, classes, weight, ignore_index, reduction, c.dtype)
    rows = np.zeros((len(flat), classes), c.dtype)
    rows[np.arange(len(flat)), flat] = -share * c.ravel()
    return class_back(rows, shape)


# --- connectionist temporal classification ---------------------------------------------------------------------------


def extended_labels(targets, target_lengths, blank):
    """Labels with blanks between and around them: (N, 2S+1), and where a step may skip the blank before it."""
    n, s = len(target_lengths), int(max(target_lengths, default=0))
    labels = np.full((n, 2 * s + 1), blank, np.int64)
    if targets.ndim == 1:
        ends = np.cumsum(target_lengths)
        for i, (end, length) in enumerate(zip(ends, target_lengths, strict=True)):
            labels[i, 1 : 2 * length : 2] = targets[end - length : end]
    else:
        labels[:, 1::2] = targets[:, :s]
    skip = np.zeros(labels.shape, bool)
    skip[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    return labels, skip


def ctc(log_probs, labels, skip, input_lengths, target_lengths):
    """The negative log-likelihood of each sequence (Graves et al., 2006), by the forward recursion.

    Args:
        log_probs: (T, N, C).
        labels, skip: see `extended_labels`.

    Returns:
        ((N,) losses, (T, N, 2S+1) log-probabilities of all prefixes).
    """
    t, n, _ = log_probs.shape
    width = labels.shape[1]
    emitted = np.take_along_axis(log_probs, np.broadcast_to(labels, (t, n, width)), 2)
    alpha = np.full((t, n, width), -np.inf, log_probs.dtype)
    rows = np.arange(n)
    if t:
        alpha[0, :, 0] = emitted[0, :, 0]
        if width > 1:
            alpha[0, :, 1] = np.where(target_lengths > 0, emitted[0, :, 1], -np.inf)
    for step in range(1, t):
        alpha[step] = _advance(alpha[step - 1], skip) + emitted[step]
    last = np.maximum(input_lengths - 1, 0)
    end = 2 * target_lengths
    final = alpha[last, rows, end] if t else np.full(n, -np.inf, log_probs.dtype)
    before = alpha[last, rows, np.maximum(end - 1, 0)] if t else final
    before = np.where(target_lengths > 0, before, -np.inf)
    likelihood = np.logaddexp(final, before)
    likelihood = np.where(input_lengths == 0, np.where(target_lengths == 0, 0, -np.inf), likelihood)
    return -likelihood.astype(log_probs.dtype), alpha


def ctc_slope(c, log_probs, labels, skip, input_lengths, target_lengths, losses, alpha, zero_infinity):
    """The cotangent of `log_probs`, by the backward recursion: minus the share of all paths that emit each class at
    each time."""
    dtype = log_probs.dtype
    c, log_probs = c.astype(np.float64), log_probs.astype(np.float64)
    t, n, _ = log_probs.shape
    width = labels.shape[1]
    emitted = np.take_along_axis(log_probs, np.broadcast_to(labels, (t, n, width)), 2)
    beta = np.full((t, n, width), -np.inf, log_probs.dtype)
    rows, end = np.arange(n), 2 * target_lengths
    for step in reversed(range(t)):
        if step + 1 < t:
            onward = beta[step + 1]
            moved = np.full_like(onward, -np.inf)
            moved[:, :-1] = onward[:, 1:]
            jumped = np.full_like(onward, -np.inf)
            jumped[:, :-2] = np.where(skip[:, 2:], onward[:, 2:], -np.inf)
            beta[step] = np.logaddexp(np.logaddexp(onward, moved), jumped) + emitted[step]
        starts = input_lengths - 1 == step
        if starts.any():
            beta[step, starts] = -np.inf
            where = rows[starts]
            beta[step, where, end[starts]] = emitted[step, where, end[starts]]
            some = where[target_lengths[where] > 0]
            beta[step, some, end[some] - 1] = emitted[step, some, end[some] - 1]
    paths = alpha + beta - emitted
    best = np.maximum(paths.max(2, keepdims=True, initial=-np.inf), np.finfo(log_probs.dtype).min)
    occupied = np.zeros_like(log_probs)
    index = (np.arange(t)[:, None, None], rows[None, :, None], labels[None])
    np.add.at(occupied, index, np.exp(paths - best))
    share = np.exp(np.log(occupied) + best + losses[None, :, None])
    # as PyTorch has it, the gradient includes that of the softmax whose logarithm `log_probs` is taken to be
    grad = (np.exp(log_probs) - share) * c[None, :, None]
    grad[np.arange(t)[:, None] >= input_lengths[None]] = 0
    if zero_infinity:
        grad[:, np.isinf(losses)] = 0
    return grad.astype(dtype)


def _advance(alpha, skip):
    moved = np.full_like(alpha, -np.inf)
    moved[:, 1:] = alpha[:, :-1]
    jumped = np.full_like(alpha, -np.inf)
    jumped[:, 2:] = np.where(skip[:, 2:], alpha[:, :-2], -np.inf)
    return np.logaddexp(np.logaddexp(alpha, moved), jumped)


def ctc_losses(log_probs, labels, skip, input_lengths, target_lengths, zero_infinity):
    """`ctc` with its intermediate values: (losses to return, losses, alpha)."""
    refuse("ctc_loss_cpu", log_probs.dtype)
    # Sums of many logarithms lose digits in 32 bits, so the recursions run in 64.
    losses, alpha = ctc(log_probs.astype(np.float64), labels, skip, input_lengths, target_lengths)
    shown = np.where(np.isinf(losses), 0, losses) if zero_infinity else losses
    return shown.astype(log_probs.dtype), losses, alpha


def lengths(given):
    """Lengths of sequences from a tensor or a sequence of ints, as an int64 vector."""
    return np.asarray(getattr(given, "_array", given), np.int64).reshape(-1)


def divisors(target_lengths, dtype):
    return np.maximum(target_lengths, 1).astype(dtype)


def check_ctc(log_probs, targets, input_lengths, target_lengths, blank):
    t, n, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if len(input_lengths) != n:
        raise RuntimeError("input_lengths must be of size batch_size")
    if len(target_lengths) != n:
        raise RuntimeError("target_lengths must be of size batch_size")
    if (input_lengths < 0).any() or (input_lengths > t).any():
        raise RuntimeError(
            f"Expected input_lengths to have value at most {t}, but got value {input_lengths.max(initial=0)}"
        )
    if (target_lengths < 0).any():
        raise RuntimeError(f"Expected target_lengths to have value at least 0, but got value {target_lengths.min()}")
    if targets.ndim == 2:
        rows, columns = targets.shape
        longest = target_lengths.max(initial=0)
        if rows != n or columns < longest:
            wrong = f"size {n} at dimension 0" if rows != n else f"size at least {longest} at dimension 1"
            raise RuntimeError(
                f"Expected tensor to have {wrong}, but got size {rows if rows != n else columns} for argument #2 "
                "'targets' (while checking arguments for ctc_loss_allocate_outputs)"
            )
    if targets.ndim == 1 and n > 1 and targets.size != target_lengths.sum():
        raise RuntimeError(f"Expected targets to hold {target_lengths.sum()} labels, but it holds {targets.size}")


# --- several labels per row ------------------------------------------------------------------------------------------


def multilabel_targets(labels):
    """(rows, places, others) of the labels before the first -1 of each row: where the scores of their classes lie in
    the array as one vector, and which classes of the row are none of these.
    """
    row, column = np.nonzero(np.logical_and.accumulate(labels >= 0, axis=1))
    label = labels[row, column]
    other = np.ones(labels.shape, bool)
    other[row, label] = False
    return row, row * labels.shape[1] + label, other[row]
