"""Losses.

Those that a training loop meets at every step (`mse_loss`, `cross_entropy`, `binary_cross_entropy_with_logits`, ...)
are one operation each, reduction included.  The others are written with other operations and get their derivatives
from those.
"""

import functools
import inspect
import math
import warnings

from wengert import dtypes, overrides
from wengert.autograd.graph import rare
from wengert.autograd.modes import no_grad
from wengert.kernels import losses as kernels
from wengert.ops.activation import logsigmoid as log_sigmoid
from wengert.ops.declare import composite, overriding, pointwise, primitive
from wengert.ops.distance import pairwise_distance
from wengert.ops.flat import Flat
from wengert.ops.linear import linear
from wengert.ops.pointwise import abs, clamp_min, log, log1p, select, sigmoid, sign
from wengert.ops.reductions import log_softmax, softmax
from wengert.tensor import Tensor, wrap

HIDDEN = {"function": False, "method": False, "inplace": False}

# --- reductions ------------------------------------------------------------------------------------------------------


def legacy_reduction(size_average, reduce):
    """What the two retired arguments ask for."""
    average = True if size_average is None else size_average
    reduced = True if reduce is None else reduce
    reduction = "none" if not reduced else "mean" if average else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=4
    )
    return reduction


def checked(reduction):
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")


def must_be_tensors(**arguments):
    for position, (name, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            raise TypeError(f"argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}")


def reduced(values, reduction):
    """`values`, their mean or their sum."""
    checked(reduction)
    return values if reduction == "none" else values.mean() if reduction == "mean" else values.sum()


def spread(g, slopes, reduction):
    """The cotangent of each element: its slope times what reaches it through the reduction."""
    return slopes * (g / max(math.prod(slopes.shape), 1) if reduction == "mean" else g)


def warn_of_broadcast(input, target):
    if target._array.shape != input._array.shape:
        warnings.warn(
            f"Using a target size ({target.shape!r}) that is different to the input size ({input.shape!r}). This "
            f"will likely "
            "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=4,
        )


# --- losses of corresponding elements --------------------------------------------------------------------------------


def mse_gradient(g, input, target, reduction):
    return spread(g, 2 * (input - target), reduction)


mse_gradient._on_tensors = True
mse_gradient._on_arrays = kernels.mse_gradient


def smooth_l1_slope(input, target, beta):
    d = input - target
    return select(abs(d) >= beta, sign(d), d / beta) if beta else sign(d)


def huber_slope(input, target, delta):
    d = input - target
    return select(abs(d) > delta, delta * sign(d), d)


def bce_slope(input, target):
    return (input - target) / clamp_min((1 - input) * input, 1e-12)


def logit(input):
    return clamp_min(log1p(-input), -100) - clamp_min(log(input), -100)


def soft_margin_slope(input, target):
    return -target * sigmoid(-target * input)


mse = pointwise(
    "mse_loss", kernels.mse, tensors=("input", "target"), **HIDDEN,
    input=lambda g, input, target, reduction: mse_gradient(g, input, target, reduction),
    target=lambda g, input, target, reduction: -mse_gradient(g, input, target, reduction),
)  # fmt: skip
smooth_l1 = pointwise(
    "smooth_l1_loss", kernels.smooth_l1, tensors=("input", "target"), node="SmoothL1LossBackward0", **HIDDEN,
    input=lambda g, input, target, reduction, beta: spread(g, smooth_l1_slope(input, target, beta), reduction),
    target=lambda g, input, target, reduction, beta: spread(g, -smooth_l1_slope(input, target, beta), reduction),
)  # fmt: skip
huber = pointwise(
    "huber_loss", kernels.huber, tensors=("input", "target"), **HIDDEN,
    input=lambda g, input, target, reduction, delta: spread(g, huber_slope(input, target, delta), reduction),
    target=lambda g, input, target, reduction, delta: spread(g, -huber_slope(input, target, delta), reduction),
)  # fmt: skip
bce = pointwise(
    "binary_cross_entropy", kernels.bce, tensors=("input", "target"), **HIDDEN,
    input=lambda g, input, target, reduction: spread(g, bce_slope(input, target), reduction),
    target=lambda g, input, reduction: spread(g, logit(input), reduction),
)  # fmt: skip
bce_with_logits = pointwise(
    "binary_cross_entropy_with_logits", kernels.bce_with_logits, tensors=("input", "target"), **HIDDEN,
    input=lambda g, input, target, reduction: spread(g, sigmoid(input) - target, reduction),
    target=lambda g, input, reduction: spread(g, -input, reduction),
)  # fmt: skip
soft_margin = pointwise(
    "soft_margin_loss", kernels.soft_margin, tensors=("input", "target"), **HIDDEN,
    input=lambda g, input, target, reduction: spread(g, soft_margin_slope(input, target), reduction),
)  # fmt: skip

# --- classification by class index -----------------------------------------------------------------------------------


def cross_entropy_gradient(g, input, target, ignore_index, reduction, kept):
    """(softmax(input) - one-hot of target) times what reaches each position, as a formula that can be differentiated
    again."""
    one_hot, share = kernels.one_hot_and_shares(target._array, input._array, ignore_index, reduction)
    if reduction == "none":
        g = g.reshape(share.shape)
    return (softmax(input, 1 if input.ndim > 1 else 0) - wrap(one_hot)) * (wrap(share) * g)


cross_entropy_gradient._on_tensors = True
cross_entropy_gradient._on_arrays = kernels.cross_entropy_gradient

cross_entropy_of_classes = primitive(
    "nll_loss", kernels.cross_entropy, tensors=("input", "target"), **HIDDEN,
    residuals=("kept",),
    input=lambda g, input, target, ignore_index, reduction, kept: (
        cross_entropy_gradient(g, input, target, ignore_index, reduction, kept)
    ),
)  # fmt: skip
# `nll` is linear in its input, and `nll_spread` is its transpose; target and weight are plain arrays to both.
nll = primitive(
    "nll_loss", kernels.nll, tensors=("input",), **HIDDEN,
    input=lambda g, target, weight, ignore_index, reduction, input_shape: (
        nll_spread(g, target, weight, ignore_index, reduction, input_shape)
    ),
)  # fmt: skip
nll_2d = primitive(
    "nll_loss", kernels.nll, tensors=("input",), node="NllLoss2DBackward0", **HIDDEN,
    input=lambda g, target, weight, ignore_index, reduction, input_shape: (
        nll_spread(g, target, weight, ignore_index, reduction, input_shape)
    ),
)  # fmt: skip
nll_spread = primitive(
    "nll_loss_backward", kernels.nll_spread, tensors=("c",), **HIDDEN,
    c=lambda g, target, weight, ignore_index, reduction: nll(g, target, weight, ignore_index, reduction),
)  # fmt: skip


def check_classes(input, target, weight, caller="nll_loss"):
    """Raise what PyTorch raises where scores, classes and class weights do not fit together."""
    scores, classes = input._array.shape, target._array.shape
    if not scores:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(scores) > 1 and (not classes or scores[0] != classes[0]):
        batch = classes[0] if classes else 1
        raise ValueError(f"Expected input batch_size ({scores[0]}) to match target batch_size ({batch}).")
    if len(scores) == 1 and classes not in ((), (1,)):
        if len(classes) == 1:
            raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {classes[0]}")
        raise RuntimeError(f"size mismatch (got input: {list(scores)}, target: {list(classes)})")
    if len(scores) == 2 and len(classes) != 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if len(scores) > 2:
        if len(classes) != len(scores) - 1:
            raise RuntimeError(
                f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(classes)}"
            )
        if scores[2:] != classes[1:]:
            if caller == "cross_entropy" and len(scores) == 3:
                raise RuntimeError(f"Expected target size {[scores[0], scores[2]]}, got {list(classes)}")
            raise RuntimeError(f"size mismatch (got input: {list(scores)} , target: {list(classes)}")
    if target.dtype is not dtypes.int64 and target.dtype is not dtypes.uint8:
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {dtypes.SCALAR_NAMES[target.dtype]}")
    count = scores[1] if len(scores) > 1 else scores[0]
    if weight is not None:
        if weight._array.shape != (count,):
            raise RuntimeError(
                f"weight tensor should be defined either for all {count} classes or no classes but got weight tensor "
                f"of "
                f"shape: {list(weight._array.shape)}"
            )
        if weight.dtype is not input.dtype:
            names = dtypes.SCALAR_NAMES
            raise RuntimeError(f"expected scalar type {names[input.dtype]} but found {names[weight.dtype]}")


def negative_log_likelihood(input, target, weight, ignore_index, reduction):
    check_classes(input, target, weight)
    run = nll_2d if input.ndim > 2 else nll
    return run(input, target._array, None if weight is None else weight._array, ignore_index, reduction)


@composite(namespace="nn.functional", method=False)
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """Minus the log-probability of the target classes.

    Args:
        input: log-probabilities (N, C), (C,) or (N, C, *space).
        target: classes (N,), () or (N, *space), int64.
        weight: (C,), how much each class counts.
        ignore_index: targets of this value do not count.
        reduction: "none", "mean" (weighted) or "sum".
    """
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce)
    checked(reduction)
    return negative_log_likelihood(input, target, weight, ignore_index, reduction)


def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):
    """The cross entropy between softmax(input) and the target.

    Args:
        input: scores (N, C), (C,) or (N, C, *space).
        target: classes (N,), () or (N, *space), int64; or probabilities of the shape of `input`.
        weight: (C,), how much each class counts.
        ignore_index: class targets of this value do not count.
        reduction: "none", "mean" (weighted) or "sum".
        label_smoothing: how much of each target is spread evenly over all classes, from 0 to 1.
    """
    if (
        type(input) is Tensor
        and type(target) is Tensor
        and target.dtype is dtypes.int64
        and weight is None
        and label_smoothing == 0.0
        and size_average is None
        and reduce is None
        and len(input._array.shape) == 2
        and len(target._array.shape) == 1
        and target._array.shape[0] == input._array.shape[0]
        and (reduction == "mean" or reduction == "sum" or reduction == "none")
    ):
        return classes_form(input, target, ignore_index, reduction)
    return general_form(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing)


def general_cross_entropy(input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing):
    if asked := overriding((input, target, weight), None):
        options = {
            "weight": weight, "size_average": size_average, "ignore_index": ignore_index, "reduce": reduce,
            "reduction": reduction, "label_smoothing": label_smoothing,
        }  # fmt: skip
        return overrides.handle(cross_entropy, asked, (input, target), options)
    if rare.active and (recast := rare.recast("cross_entropy")) is not None:
        options = (size_average, ignore_index, reduce, reduction, label_smoothing)
        return recast(general_cross_entropy, (input, target, weight, *options))
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce)
    checked(reduction)
    must_be_tensors(input=input, target=target)
    if input._array.shape == target._array.shape and target.dtype.is_floating_point:
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)
    check_classes(input, target, weight, "cross_entropy")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if weight is None and not label_smoothing:
        return cross_entropy_of_classes(input, target, ignore_index, reduction)
    log_p = log_softmax(input, 1 if input.ndim > 1 else 0)
    sharp = negative_log_likelihood(log_p, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return sharp
    return sharp * (1 - label_smoothing) + smooth_part(log_p, target, weight, ignore_index, reduction) * (
        label_smoothing / log_p.shape[1 if log_p.ndim > 1 else 0]
    )


def smooth_part(log_p, target, weight, ignore_index, reduction):
    """The cross entropy with the even distribution, times the number of classes."""
    dim = 1 if log_p.ndim > 1 else 0
    if weight is not None:
        log_p = log_p * weight.reshape([-1 if d == dim else 1 for d in range(log_p.ndim)])
    each = -log_p.sum(dim)
    share = wrap(kernels.smooth_shares(target._array, ignore_index, weight, reduction, each._array.dtype))
    each = each * share.reshape(each.shape)
    return each if reduction == "none" else each.sum()


def cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing):
    dim = 1 if input.ndim > 1 else 0
    count = input.shape[dim]
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if weight is not None and weight._array.shape != (count,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {count} classes or no classes but got "
            f"weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / count
    product = log_softmax(input, dim) * target
    if weight is not None:
        product = product * weight.reshape([-1 if d == dim else 1 for d in range(input.ndim)])
    if reduction == "none":
        return -product.sum(dim)
    total = -product.sum()
    return total if reduction == "sum" else total / max(math.prod(input.shape) // max(count, 1), 1)


# --- the public functions of the elementwise losses ------------------------------------------------------------------


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean (or sum, or each) of (input - target)²; tensors of one shape, `weight` weighing the elements."""
    if (
        weight is None
        and size_average is None
        and reduce is None
        and type(input) is Tensor
        and type(target) is Tensor
        and input._array.shape == target._array.shape
        and (reduction == "mean" or reduction == "sum" or reduction == "none")
    ):
        return mse_form(input, target, reduction)
    return general_mse(input, target, weight, size_average, reduce, reduction)


def general_mse(input, target, weight, size_average, reduce, reduction):
    if asked := overriding((input, target, weight), None):
        options = {"size_average": size_average, "reduce": reduce, "reduction": reduction, "weight": weight}
        return overrides.handle(mse_loss, asked, (input, target), options)
    return weighted(mse, input, target, weight, size_average, reduce, reduction)


def weighted(loss, input, target, weight, size_average, reduce, reduction):
    """A loss of elements with everything that is unusual: retired arguments, broadcasting, weights."""
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce)
    checked(reduction)
    must_be_tensors(input=input, target=target)
    warn_of_broadcast(input, target)
    if weight is None:
        return loss(input, target, reduction)
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    each = loss(input, target, "none") * weight
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.sum() / weight.sum()


Flat(mse_loss, mse_form=mse)
Flat(cross_entropy, classes_form=cross_entropy_of_classes, general_form=general_cross_entropy)


def loss(function):
    """Declare a loss of `torch.nn.functional`: the retired arguments and the check of `reduction` are done here."""
    parameters = list(inspect.signature(function).parameters)
    retired = "size_average" in parameters
    before = parameters.index("size_average") if retired else len(parameters)

    @functools.wraps(function)
    def run(*args, **kwargs):
        if len(args) <= before and "size_average" not in kwargs and "reduce" not in kwargs:
            return function(*args, **kwargs)
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        if retired and (given.get("size_average") is not None or given.get("reduce") is not None):
            kwargs = dict(given, reduction=legacy_reduction(given.get("size_average"), given.get("reduce")))
            kwargs |= {"size_average": None, "reduce": None}
            args = ()
        return function(*args, **kwargs)

    return composite(run, namespace="nn.functional", method=False)


@loss
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean (or sum, or each) of |input - target|."""
    return weighted(lambda a, b, r: reduced((a - b).abs(), r), input, target, weight, None, None, reduction)


@loss
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """Squared where |input - target| < beta, straight beyond (Girshick, 2015)."""
    checked(reduction)
    warn_of_broadcast(input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return reduced((input - target).abs(), reduction) if beta == 0 else smooth_l1(input, target, reduction, beta)


@loss
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Squared where |input - target| <= delta, straight beyond (Huber, 1964)."""
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return weighted(lambda a, b, r: huber(a, b, r, delta), input, target, weight, None, None, reduction)


@loss
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The cross entropy between probabilities `input` and `target`, two outcomes each; `weight` weighs the elements."""
    checked(reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape!r}) that is different to the input size ({input.shape!r}) is "
            f"deprecated. "
            "Please ensure they have the same size."
        )
    if input.dtype is not target.dtype:
        names = dtypes.SCALAR_NAMES
        raise RuntimeError(f"Found dtype {names[target.dtype]} but expected {names[input.dtype]}")
    if weight is None:
        return bce(input, target, reduction)
    return reduced(bce(input, target, "none") * weight, reduction)


@loss
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """`binary_cross_entropy` of sigmoid(input), stable for large scores; `pos_weight` weighs the positive outcome."""
    checked(reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape!r}) must be the same as input size ({input.shape!r})")
    if not target.dtype.is_floating_point:
        raise not_a_probability(input, target)
    if weight is None and pos_weight is None:
        return bce_with_logits(input, target, reduction)
    if pos_weight is None:
        each = bce_with_logits(input, target, "none")
    else:
        factor = (pos_weight - 1) * target + 1
        each = (1 - target) * input + factor * (log1p((-input.abs()).exp()) + (-input).relu())
    return reduced(each if weight is None else each * weight, reduction)


def not_a_probability(input, target):
    names = dtypes.SCALAR_NAMES[input.dtype], dtypes.SCALAR_NAMES[target.dtype]
    return RuntimeError("result type {} can't be cast to the desired output type {}".format(*names))


@loss
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target * (log target - input) at each element; reduction "batchmean" divides the sum by the batch's size."""
    if reduction not in ("none", "mean", "sum", "batchmean"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' "
            "divides only by "
            "the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as "
            "'batchmean' in the next major release.",
            stacklevel=4,
        )
    each = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    if reduction == "batchmean":
        return each.sum() / input.shape[0] if input.ndim else each.sum()
    return reduced(each, reduction)


@loss
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """Minus the log-likelihood of counts `target` under a Poisson distribution of rate `input` (or exp of it)."""
    checked(reduction)
    each = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        each = each + stirling.masked_fill(target <= 1, 0)
    return reduced(each, reduction)


@loss
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Minus the log-likelihood of `target` under normal distributions of mean `input` and variance `var`."""
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * input.new_ones(input.shape)
    elif bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif not (input.shape[:-1] == var.shape[:-1] and var.shape[-1] == 1) and not _one_apart(input.shape, var.shape):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    safe = var.clone()
    with no_grad():
        safe.clamp_(min=eps)
    difference = input - target
    each = 0.5 * (safe.log() + difference * difference / safe)
    if full:
        each = each + 0.5 * math.log(2 * math.pi)
    return reduced(each, reduction)


def _one_apart(shape, other):
    """Whether the shapes have the same length and `other` is 1 wherever they differ."""
    return len(shape) == len(other) and all(a == b or b == 1 for a, b in zip(shape, other, strict=True))


@loss
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """input where target is 1, max(0, margin - input) where it is -1."""
    checked(reduction)
    zeros = input * 0
    each = select(target != 1, clamp_min(margin - input, 0), zeros) + select(target != -1, input, zeros)
    return reduced(each, reduction)


@loss
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, margin - target * (input1 - input2)): target 1 where the first should rank higher, -1 where the second."""
    checked(reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.shape}, "
            f"input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


@loss
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; cos between rows of the inputs."""
    checked(reduction)
    if target.ndim > 1 or not (input1.ndim == input2.ndim and input1.ndim in (target.ndim + 1,)):
        raise RuntimeError(
            f"{'1D' if target.ndim == 1 else '0D'} target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs "
            f"with sizes {list(input1.shape)} and {list(input2.shape)}."
            if target.ndim <= 1
            else "0D or 1D target tensor expected, multi-target not supported"
        )
    eps = 1e-12
    dim = target.ndim
    product = (input1 * input2).sum(dim)
    sizes = ((input1 * input1).sum(dim) + eps) * ((input2 * input2).sum(dim) + eps)
    cos = product / sizes.sqrt()
    zeros = cos * 0
    each = select(target == 1, 1 - cos, zeros) + select(target == -1, clamp_min(cos - margin, 0), zeros)
    return reduced(each, reduction)


@loss
def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm (Balntas et al., 2016)."""
    checked(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
            f"got: anchor "
            f"{anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = functools.partial(pairwise_distance, p=p, eps=eps)
    return triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet(anchor, positive, negative, distance, margin, swap, reduction):
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced(clamp_min(margin + near - far, 0), reduction)


@loss
def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """`triplet_margin_loss` with any distance."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
            f"got: anchor "
            f"{anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    return triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


@loss
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Sum over other classes of max(0, margin - input[target] + input[class])^p, over the number of classes."""
    checked(reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows = input.reshape(1, -1) if input.ndim <= 1 else input
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    if target.ndim > 1 or target.numel() != rows.shape[0]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch "
            f"size). Expected target size {[rows.shape[0]]}, but got {list(target.shape)}. Input has shape "
            f"{list(input.shape)}."
        )
    if weight is not None and weight.numel() != rows.shape[1]:
        raise RuntimeError(f"inconsistent weight size, expected {rows.shape[1]} but got {list(weight.shape)}")
    at = target.reshape(-1, 1)
    if at.numel() and not (int(at.min()) >= 0 and int(at.max()) < rows.shape[1]):
        raise RuntimeError("target out of range")
    z = clamp_min(margin - rows.gather(1, at) + rows, 0)
    z = z if p == 1 else z * z
    if weight is not None:
        z = z * weight[at]
    z = z.scatter(1, at, 0.0)
    each = z.sum(1) / rows.shape[1]
    return each.reshape(target.shape) if reduction == "none" else reduced(each, reduction)


@loss
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Sum over target and other classes of max(0, 1 - input[target] + input[other]), over the number of classes.

    The targets of a row end at the first -1.
    """
    checked(reduction)
    if input.ndim > 2 or (input.ndim and input.shape[-1] == 0):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    if input.shape != target.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    rows, labels = (
        input.reshape(-1, max(input.shape[-1:], default=1)),
        target.reshape(-1, max(input.shape[-1:], default=1)),
    )
    row, label, others = kernels.multilabel_targets(labels._array)
    row = wrap(row)
    z = clamp_min(1 - rows[row, wrap(label)].unsqueeze(1) + rows[row], 0)
    each = rows.new_zeros(len(rows)).index_add(0, row, select(wrap(others), z, 0).sum(1)) / rows.shape[1]
    return each.reshape(input.shape[:-1]) if reduction == "none" else reduced(each, reduction)


@loss
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over classes of the cross entropy of sigmoid(input)."""
    checked(reduction)
    each = -(target * log_sigmoid(input) + (1 - target) * log_sigmoid(-input))
    if weight is not None:
        each = each * weight
    dim = input.ndim - 1
    each = each.sum(dim) / input.shape[dim]
    return reduced(each, reduction)


@loss
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-target * input)), target 1 or -1."""
    checked(reduction)
    return soft_margin(input, target, reduction)


# --- connectionist temporal classification ---------------------------------------------------------------------------

ctc_of = primitive(
    "ctc_loss", kernels.ctc_losses, tensors=("log_probs",), residuals=("losses", "alpha"), **HIDDEN,
    log_probs=lambda g, log_probs, labels, skip, input_lengths, target_lengths, zero_infinity, losses, alpha: (
        ctc_gradient(g, log_probs, labels, skip, input_lengths, target_lengths, losses, alpha, zero_infinity)
    ),
)  # fmt: skip


def ctc_gradient(g, log_probs, labels, skip, input_lengths, target_lengths, losses, alpha, zero_infinity):
    raise RuntimeError("derivative for aten::_ctc_loss_backward is not implemented")


ctc_gradient._on_tensors = True
ctc_gradient._on_arrays = kernels.ctc_slope


@composite(namespace="nn.functional", method=False)
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """Minus the log-probability of label sequences of unknown alignment (Graves et al., 2006).

    Args:
        log_probs: (T, N, C) or (T, C) log-probabilities of classes at each time.
        targets: (N, S), or the labels of all sequences one after the other.
        input_lengths, target_lengths: the length of each sequence.
        blank: the class that stands for no label.
        reduction: "none", "sum", or "mean" over the batch of each loss divided by its target's length.
        zero_infinity: whether impossible alignments count as zero.
    """
    checked(reduction)
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)
    for name, given in (("input_lengths", input_lengths), ("target_lengths", target_lengths)):
        if isinstance(given, Tensor) and (given.dtype.differentiable or given.dtype is dtypes.bool_):
            raise RuntimeError(f"{name} must be integral")
    inputs, lengths = kernels.lengths(input_lengths), kernels.lengths(target_lengths)
    kernels.check_ctc(log_probs._array, targets._array, inputs, lengths, blank)
    labels, skip = kernels.extended_labels(targets._array.reshape(1, -1) if single else targets._array, lengths, blank)
    losses = ctc_of(log_probs, labels, skip, inputs, lengths, zero_infinity)
    if reduction == "mean":
        return (losses / wrap(kernels.divisors(lengths, losses._array.dtype))).mean()
    if reduction == "sum":
        return losses.sum()
    return losses.squeeze(0) if single else losses


@composite(namespace="nn.functional", method=False)
def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None,
    label_smoothing=0.0, options=None,
):  # fmt: skip
    """`cross_entropy` of `linear`: the scores are linear_weight times the input."""
    if options is not None:
        raise NotImplementedError("linear_cross_entropy(): options (computing the scores in chunks) is not supported")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if ignore_index is not None and target.dtype.differentiable:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if ignore_index is None:
        ignore_index = -100
    if linear_weight.ndim > 2 and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {linear_weight.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )
    if linear_weight.ndim > 2:  # scores over further dimensions: (C, *space, features)
        flat = linear_weight.reshape(-1, linear_weight.shape[-1])
        scores = linear(input, flat, None if linear_bias is None else linear_bias.reshape(-1))
        scores = scores.reshape(*input.shape[:-1], *linear_weight.shape[:-1])
    else:
        scores = linear(input, linear_weight, linear_bias)
    return general_cross_entropy(scores, target, weight, None, ignore_index, None, reduction, label_smoothing)
