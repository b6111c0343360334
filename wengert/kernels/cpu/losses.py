"""Losses, in the place of `wengert.kernels.losses`: of corresponding elements, and cross entropy over many classes.

The mean or sum of a formula for elements is gathered as they are computed, and its gradient is one walk.

Cross entropy keeps for its gradient one number for each position, the logarithm of the sum of exponentials, rather than
the exponentials of all scores; it is kept in float64, for scores of any size are subtracted from it.
"""

from functools import cache
from math import prod

import numpy as np

from wengert.kernels import losses as reference
from wengert.kernels.cpu.expressions import F32, F64
from wengert.kernels.cpu.pointwise import Kernel
from wengert.kernels.cpu.recorded import recordable
from wengert.kernels.cpu.reductions import LOG_OF_SUM, Reduction

# --- of corresponding elements ----------------------------------------------------------------------------------------


@cache
def summed(formula, numbers):
    """The sum of a formula of two arrays."""
    recorded = recordable(formula)
    return Reduction(("sum",), lambda x, target: (recorded(x, target, *numbers),))


def combined(formula, input, target, reduction, *numbers):
    """The mean or sum of a formula over arrays of one shape and dtype, else None."""
    if input.shape != target.shape or input.dtype != target.dtype or not input.ndim:
        return None
    found = summed(formula, numbers)(tuple(range(input.ndim)), input, target)
    if not found:
        return None
    total = found[0].reshape(())
    return np.asarray(total / input.size if reduction == "mean" else total, input.dtype)


class slopes:
    """The gradient of such a loss with respect to its input: the formula, each element's share of a mean in `g`."""

    @staticmethod
    def beside(fallback):
        """As called where `fallback` is the reference."""
        recorded = recordable(fallback)
        kernel = Kernel(
            "loss/input",
            lambda g, input, target, *numbers: fallback(g, input, target, "sum", *numbers),
            lambda g, input, target, *numbers: recorded(g, input, target, "sum", *numbers),
        )

        def run(g, input, target, reduction, *numbers):
            if reduction == "mean":
                count = max(prod(np.broadcast_shapes(input.shape, target.shape)), 1)
                g = np.asarray(g, F64 if input.dtype == F64 else F32) / count  # 16 bits hold neither
            return kernel(np.asarray(g), np.asarray(input), np.asarray(target), *numbers)

        return run


# --- of classes -------------------------------------------------------------------------------------------------------

# Beyond these a row's logarithm of the sum, infinite or rounded to its own size, tells too little of the probabilities.
LARGEST = {F32: 1e8, F64: 1e3}
SHARES = Kernel("cross_entropy/input", lambda x, total, g: np.exp((x - total).astype(x.dtype)) * g)


def cross_entropy(input, target, ignore_index=-100, reduction="mean"):
    dtype = input.dtype
    if dtype not in (F32, F64) or not input.flags.c_contiguous:
        return reference.cross_entropy(input, target, ignore_index, reduction)
    scores = reference.by_class(input)
    flat, mask = reference.counted(target, scores.shape[1], ignore_index)
    total = np.empty((scores.shape[0], 1, *scores.shape[2:]), np.float64)
    if not LOG_OF_SUM(1, [scores], total):
        return reference.cross_entropy(input, target, ignore_index, reduction)
    if (np.abs(total) > LARGEST[dtype]).any():
        return reference.cross_entropy(input, target, ignore_index, reduction)
    losses = total.reshape(-1) - reference.picked(scores, flat)
    if mask is not None:
        losses[~mask] = 0
    if reduction == "none":
        return losses.astype(dtype).reshape(target.shape), total
    result = np.add.reduce(losses)
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):
            result = np.divide(result, len(losses) if mask is None else mask.sum())
    return np.asarray(result, dtype), total


def cross_entropy_gradient(g, input, target, ignore_index, reduction, kept):
    if type(kept) is tuple:  # the forward pass was the reference's
        return reference.cross_entropy_gradient(g, input, target, ignore_index, reduction, kept)
    scores = reference.by_class(input)
    flat, mask = reference.counted(target, scores.shape[1], ignore_index)
    share = np.asarray(g, scores.dtype).reshape(-1)
    if reduction == "mean":
        share = share / scores.dtype.type(len(flat) if mask is None else mask.sum())
    if mask is not None:
        share = share * mask
    share = np.broadcast_to(share, (len(flat),)).astype(scores.dtype)
    p = SHARES(scores, kept, share.reshape(kept.shape))
    p.reshape(-1)[reference.places(p, flat)] -= share
    if mask is not None:
        np.copyto(p, 0, where=~mask.reshape(kept.shape))  # also where the scores are not finite
    return p.reshape(input.shape)
