"""Products over named, paired or adjoining dimensions: einsum and what can be said with it, cross products, distances.

All but `cross` and `cdist` are arrangements of dimensions around one batched matrix product, whose derivative does the
rest.
"""

import math
import string

import numpy as np

from wengert.autograd.graph import rare
from wengert.kernels.reductions import axis_of
from wengert.ops.declare import composite, primitive
from wengert.ops.linalg import batched_matmul, dot, mm
from wengert.ops.pointwise import select, zeros_of
from wengert.ops.reductions import norm_gradient, sum
from wengert.ops.shape import broadcast_shapes, permute_op, reshape_to, sum_to
from wengert.tensor import Tensor, wrap

HIDDEN = {"function": False, "method": False}

# --- einsum -----------------------------------------------------------------------------------------------------------

LETTERS = string.ascii_uppercase + string.ascii_lowercase
ELLIPSIS = "..."


def refuse(text):
    raise RuntimeError(f"einsum(): {text}")


def tokens(term, where):
    """The labels of one term: letters, and at most one ellipsis."""
    found, position = [], 0
    while position < len(term):
        c = term[position]
        if c == " ":
            position += 1
        elif c == ".":
            if term[position : position + 3] != ELLIPSIS:
                refuse(f"found '.' for {where} that is not part of any ellipsis")
            if ELLIPSIS in found:
                refuse(f"found '.' for {where} for which an ellipsis was already found")
            found.append(ELLIPSIS)
            position += 3
        elif c in LETTERS:
            found.append(c)
            position += 1
        else:
            refuse("invalid subscript given in the equation string, subscripts must be in [a-zA-Z]")
    return found


def parse(equation):
    """(labels of each operand, labels of the output or None) from ``"ij,jk->ik"``."""
    left, arrow, right = equation.partition("->")
    inputs = [tokens(term, f"operand {i}") for i, term in enumerate(left.split(","))]
    return inputs, tokens(right, "the output") if arrow else None


def from_sublists(arguments):
    """(equation's parts, operands) from ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""
    operands, inputs, output = [], [], None
    arguments = list(arguments)
    if len(arguments) % 2:
        output = arguments.pop()
    for operand, labels in zip(arguments[::2], arguments[1::2], strict=True):
        operands.append(operand)
        inputs.append(labels)
    return [letters(labels) for labels in inputs], None if output is None else letters(output), operands


def letters(sublist):
    found = []
    for number in sublist:
        if number is Ellipsis:
            found.append(ELLIPSIS)
        elif not 0 <= number < len(LETTERS):
            raise ValueError(f"einsum(): subscripts in a sublist must be in [0, 52), got {number}")
        else:
            found.append(LETTERS[number])
    return found


def resolved(inputs, output, operands):
    """Labels without ellipses: the dimensions of an ellipsis become labels ``-n .. -1``, counted from the right."""
    if len(inputs) != len(operands):
        few = "fewer" if len(operands) < len(inputs) else "more"
        refuse(f"{few} operands were provided than specified in the equation")
    covered = 0
    for i, (labels, operand) in enumerate(zip(inputs, operands, strict=True)):
        named = len(labels) - (ELLIPSIS in labels)
        if ELLIPSIS not in labels and named != operand.ndim:
            refuse(
                f"the number of subscripts in the equation ({named}) does not match the number of dimensions "
                f"({operand.ndim}) "
                f"for operand {i} and no ellipsis was given"
            )
        if named > operand.ndim:
            refuse(
                f"the number of subscripts in the equation ({named}) is more than the number of dimensions "
                f"({operand.ndim}) "
                f"for operand {i}"
            )
        if ELLIPSIS in labels:
            covered = max(covered, operand.ndim - named)
    expanded = [
        spelled(labels, operand.ndim - len(labels) + 1) for labels, operand in zip(inputs, operands, strict=True)
    ]
    every = [label for labels in inputs for label in labels if label != ELLIPSIS]
    if output is None:
        wanted = [*range(-covered, 0), *(c for c in LETTERS if every.count(c) == 1)]
    else:
        for label in output:
            if label != ELLIPSIS and label not in every:
                refuse(f"output subscript {label} does not appear in the equation for any input operand")
            if output.count(label) > 1:
                refuse(f"output subscript {label} appears more than once in the output")
        wanted = spelled(output, covered)
    return expanded, wanted


def spelled(labels, count):
    if ELLIPSIS not in labels:
        return labels
    at = labels.index(ELLIPSIS)
    return [*labels[:at], *range(-count, 0), *labels[at + 1 :]]


@composite(method=False)
def einsum(*args):
    """Sums of products of elements named by letters, Einstein's way: ``einsum("bij,bjk->bik", a, b)``.

    Args:
        args: an equation and the operands, or operands each followed by a list of numbers that name its dimensions.
    Returns:
        A tensor with the dimensions right of ``->``, else those that occur once, in alphabetical order.
    Raises:
        RuntimeError: the equation doesn't fit the operands.
    """
    if not args:
        refuse(
            "must specify the equation string and at least one operand, or at least one operand and its subscripts list"
        )
    if isinstance(args[0], str):
        equation, *operands = args
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = operands[0]
        if not operands:
            refuse("must provide at least one operand")
        inputs, output = parse(equation)
    elif isinstance(args[0], Tensor) and len(args) > 1:
        inputs, output, operands = from_sublists(args)
    else:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    inputs, output = resolved(inputs, output, operands)
    terms = [without_repeats(operand, labels) for operand, labels in zip(operands, inputs, strict=True)]
    check_extents(terms)
    tensor, labels = terms[0]
    for i, (other, other_labels) in enumerate(terms[1:], 1):
        later = {*output, *(label for _, rest in terms[i + 1 :] for label in rest)}
        tensor, labels = contracted(tensor, labels, other, other_labels, later)
    tensor, labels = summed(tensor, labels, set(output))
    for label in output:  # an ellipsis may be wider in the output than in what is left
        if label not in labels:
            tensor, labels = tensor.unsqueeze(0), [label, *labels]
    order = tuple(labels.index(label) for label in output)
    return tensor if order == tuple(range(len(order))) else permute_op(tensor, order)


def without_repeats(operand, labels):
    """A label that occurs twice in one operand means its diagonal."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            sizes = operand.shape[first], operand.shape[second]
            if sizes[0] != sizes[1]:
                refuse(f"subscript {label} is repeated for operand but the sizes don't match, {sizes[1]} != {sizes[0]}")
            operand = operand.diagonal(0, first, second)
            labels = [x for i, x in enumerate(labels) if i not in (first, second)] + [label]
    return operand, labels


def check_extents(terms):
    seen = {}
    for i, (tensor, labels) in enumerate(terms):
        for label, n in zip(labels, tensor.shape, strict=True):
            if n != 1 and seen.setdefault(label, n) != n:
                refuse(
                    f"subscript {label} has size {n} for operand {i} which does not broadcast with previously seen "
                    f"size {seen[label]}"
                )


def summed(tensor, labels, wanted):
    """Dimensions that nobody else names are summed at once."""
    gone = [i for i, label in enumerate(labels) if label not in wanted]
    if gone:
        tensor = sum(tensor, tuple(gone))
    return tensor, [label for label in labels if label in wanted]


def contracted(a, a_labels, b, b_labels, wanted):
    """The product of two terms, summed over what only they share, as one batched matrix product."""
    a, a_labels = summed(a, a_labels, wanted | set(b_labels))
    b, b_labels = summed(b, b_labels, wanted | set(a_labels))
    sizes = {}
    for tensor, labels in ((a, a_labels), (b, b_labels)):
        for label, n in zip(labels, tensor.shape, strict=True):
            sizes[label] = n if n != 1 else sizes.get(label, 1)
    shared = [label for label in a_labels if label in b_labels]
    joined = [x for x in shared if x not in wanted and a.shape[a_labels.index(x)] == b.shape[b_labels.index(x)]]
    # What is shared, unwanted and of one element on one side alone is summed on the other.
    for label in [x for x in shared if x not in wanted and x not in joined]:
        a, a_labels = summed(a, a_labels, set(a_labels) - {label})
        b, b_labels = summed(b, b_labels, set(b_labels) - {label})
    batch = [x for x in shared if x in wanted]
    a_only = [x for x in a_labels if x not in b_labels]
    b_only = [x for x in b_labels if x not in a_labels]
    extents = {
        key: tuple(sizes[x] for x in group)
        for key, group in {"batch": batch, "a": a_only, "b": b_only, "joined": joined}.items()
    }
    if not joined:  # nothing to sum: an element by element product
        labels = [*batch, *a_only, *b_only]
        return spread_out(a, a_labels, labels) * spread_out(b, b_labels, labels), labels
    left = grouped(a, a_labels, [batch, a_only, joined], extents["batch"])
    right = grouped(b, b_labels, [batch, joined, b_only], extents["batch"])
    product = batched_matmul(left, right) if batch else mm(left, right)
    return reshape_to(product, (*extents["batch"], *extents["a"], *extents["b"])), [*batch, *a_only, *b_only]


def spread_out(tensor, labels, wanted):
    """Dimensions in the order `wanted`, of one element where the tensor has none."""
    order = tuple(labels.index(x) for x in wanted if x in labels)
    if order != tuple(range(len(order))):
        tensor = permute_op(tensor, order)
    extents = iter(tensor.shape)
    shape = tuple(next(extents) if x in labels else 1 for x in wanted)
    return tensor if shape == tuple(tensor.shape) else reshape_to(tensor, shape)


def grouped(tensor, labels, groups, batch):
    """Dimensions in the order of `groups`, each group as one dimension (no batch: two dimensions)."""
    order = tuple(labels.index(x) for group in groups for x in group)
    if order != tuple(range(len(order))):
        tensor = permute_op(tensor, order)
    if batch and tuple(tensor.shape[: len(batch)]) != batch:
        tensor = tensor.expand(*batch, *tensor.shape[len(batch) :])
    shape, at = [], 0
    for group in groups:
        shape.append(math.prod(tensor.shape[at : at + len(group)]))
        at += len(group)
    if not batch:
        shape = shape[1:]
    return tensor if tuple(shape) == tuple(tensor.shape) else reshape_to(tensor, tuple(shape))


# --- paired dimensions ------------------------------------------------------------------------------------------------


@composite(method=False)
def tensordot(a, b, dims=2):
    """The product summed over pairs of dimensions: the last `dims` of `a` and the first of `b`, or two lists."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (tuple, list)):
        if len(dims) != 2:
            raise RuntimeError(f"tensordot expects dims to be int or two lists of dims, but got dims={dims}")
        ours, theirs = ([d] if isinstance(d, int) else list(d) for d in dims)
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        ours, theirs = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    if len(ours) != len(theirs):
        raise RuntimeError("both dimension lists should have same length")
    ours, theirs = [axis_of(d, a.ndim) for d in ours], [axis_of(d, b.ndim) for d in theirs]
    for x, y in zip(ours, theirs, strict=True):
        n, m = a.shape[x], b.shape[y]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {x} and second has size {m} in "
                f"dim {y}"
            )
        if n != m:  # one element meets many: their sum
            a, b = (a, sum(b, y, True)) if n == 1 else (sum(a, x, True), b)
    if a.dtype is not b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    rest_a, rest_b = [d for d in range(a.ndim) if d not in ours], [d for d in range(b.ndim) if d not in theirs]
    inner = math.prod(a.shape[d] for d in ours)
    shape = (*(a.shape[d] for d in rest_a), *(b.shape[d] for d in rest_b))
    left = permute_op(a, (*rest_a, *ours)).reshape(math.prod(a.shape[d] for d in rest_a), inner)
    right = permute_op(b, (*theirs, *rest_b)).reshape(inner, math.prod(b.shape[d] for d in rest_b))
    if left.shape[0] == right.shape[1] == 1:  # nothing is left but the sum
        return reshape_to(dot(left.reshape(inner), right.reshape(inner)), shape)
    return reshape_to(mm(left, right), shape)


@composite
def inner(input, other):
    """The product summed over the last dimension of both."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@composite
def kron(input, other):
    """The Kronecker product: every element of `input` times all of `other`, block by block."""
    ndim = max(input.ndim, other.ndim)
    a, b = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other))
    left = input.reshape([n for extent in a for n in (extent, 1)])
    right = other.reshape([n for extent in b for n in (1, extent)])
    return (left * right).reshape([n * m for n, m in zip(a, b, strict=True)])


@composite(method=False)
def chain_matmul(*matrices):
    """The product of matrices, in the order that costs the fewest multiplications."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    for matrix in matrices:
        if matrix.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {matrix.ndim}, expected 2 instead.")
    return matrices[0] if len(matrices) == 1 else in_best_order(matrices)


def in_best_order(matrices):
    """Their product; where to put the parentheses by dynamic programming (Cormen et al., section 15.2)."""
    sizes = [m.shape[0] for m in matrices] + [matrices[-1].shape[1]]
    n = len(matrices)
    cost = {(i, i): 0 for i in range(n)}
    cut = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i, j):
        return matrices[i] if i == j else mm(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)


# --- vectors ----------------------------------------------------------------------------------------------------------


def _cross(input, other, dim):
    a, b = (np.moveaxis(x, dim, 0) for x in np.broadcast_arrays(input, other))
    out = np.empty(a.shape[1:] + (3,), a.dtype)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[j], b[k], out=out[..., i])
        out[..., i] -= a[k] * b[j]
    return np.ascontiguousarray(np.moveaxis(out, -1, dim))


cross_along = primitive(
    "linalg_cross",
    _cross,
    **HIDDEN,
    input=lambda g, input_shape, other, dim: sum_to(cross_along(other, g, dim), input_shape),
    other=lambda g, input, other_shape, dim: sum_to(cross_along(g, input, dim), other_shape),
)


def crossed(input, other, dim, name):
    if input.ndim != other.ndim:
        raise RuntimeError(f"{name}: inputs must have the same number of dimensions.")
    axis = axis_of(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise RuntimeError(
            f"{name}: inputs dimension {dim} must have length 3. Got {input.shape[axis]} and {other.shape[axis]}"
        )
    broadcast_shapes(input.shape, other.shape)
    if input.dtype is not other.dtype:
        from wengert.dtypes import promote_types
        from wengert.ops.declare import convert

        common = promote_types(input.dtype, other.dtype)
        input, other = convert(input, common), convert(other, common)
    return cross_along(input, other, axis)


@composite
def cross(input, other, dim=None):
    """The vector product along `dim`, by default the first dimension of three elements."""
    if dim is None:
        if input.ndim != other.ndim:
            raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return crossed(input, other, dim, "linalg.cross")


def linalg_cross(input, other, *, dim=-1):
    """The vector product of `input` and `other` along `dim`, which has three elements."""
    return crossed(input, other, dim, "linalg.cross")


linalg_cross = composite(linalg_cross, namespace="linalg", method=False, name="cross")


@composite(namespace="linalg", method=False)
def vecdot(x, y, *, dim=-1):
    """The dot products of vectors along `dim`, of which those of `x` are conjugated."""
    usual = type(x) is type(y) is Tensor and x.dtype is y.dtype and x.dtype.itemsize > 2 and x.dtype.differentiable
    if usual and not (x.requires_grad or y.requires_grad or rare.active):
        return wrap(vecdots(x._array, y._array, dim))
    return sum(x.conj() * y if x.dtype.is_complex else x * y, dim)


def vecdots(x, y, dim):
    """The dot products as BLAS computes them, where no gradient will ask for the products of the elements."""
    x, y = np.broadcast_arrays(x, y)
    return np.asarray(np.vecdot(x, y, axis=axis_of(dim, x.ndim)))


# --- distances --------------------------------------------------------------------------------------------------------


def _distances(x1, x2, p):
    if p == 2 and max(x1.shape[-2], x2.shape[-2]) > 25:
        squares = (x1 * x1).sum(-1)[..., :, None] + (x2 * x2).sum(-1)[..., None, :]
        return np.sqrt(np.maximum(squares - 2 * (x1 @ x2.swapaxes(-1, -2)), 0))
    difference = np.abs(x1[..., :, None, :] - x2[..., None, :, :])
    if p == 2:
        return np.sqrt((difference * difference).sum(-1))
    if p == 0:
        return (difference != 0).sum(-1).astype(x1.dtype)
    if p == 1:
        return difference.sum(-1)
    if math.isinf(p):
        return difference.max(-1, initial=0)
    return ((difference**p).sum(-1) ** (1 / p)).astype(x1.dtype, copy=False)


def row_pulls(g, x, other, out, p):
    """What each row of `x` gets from its distances `out` to the rows of `other`."""
    if p == 2:
        weights = select(out == 0, 0, g / select(out == 0, 1, out))
        return x * sum(weights, -1, True) - weights @ other
    if p == 0:
        return zeros_of(x)
    difference = reshape_to(x, (*x.shape[:-1], 1, x.shape[-1])) - reshape_to(
        other, (*other.shape[:-2], 1, *other.shape[-2:])
    )
    return sum(norm_gradient(g, difference, out, p, -1, False), -2)


distances = primitive(
    "cdist",
    _distances,
    node="CdistBackward0",
    **HIDDEN,
    x1=lambda g, x1, x2, out, p: row_pulls(g, x1, x2, out, p),
    x2=lambda g, x1, x2, out, p: row_pulls(g.mT, x2, x1, out.mT, p),
)


@composite(method=False)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distance between every row of `x1` (..., P, M) and every row of `x2` (..., R, M): (..., P, R)."""
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in (*modes, None):
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
        if not x.dtype.is_floating_point:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    batch = broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    return distances(x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:]), float(p))
