"""Einstein's summation: products of tensors, summed over the indices that the result does not name.

Each pair of operands becomes one batched matrix product: the indices of both that the result keeps are the batch, those
of both that it drops are contracted, the rest are rows and columns. The derivative is that of the steps.
"""

from wengert.ops.declare import composite
from wengert.tensor import Tensor

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@composite(method=False)
def einsum(equation, *operands):
    """Sum products of the operands' elements as `equation` says, such as ``"ij,jk->ik"``.

    Args:
        equation: the indices of each operand, separated by commas; after ``->`` those of the result (without it: those
            that occur once, in alphabetical order). ``...`` stands for the dimensions without a name, which broadcast.
        operands: the tensors, one for each group of indices; or, instead of an equation, tensors and lists of numbers in
            turn.
    Raises:
        RuntimeError: the equation is malformed, or does not fit the operands.
    """
    if isinstance(equation, Tensor):
        equation, operands = from_lists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    groups, result, sizes = parsed(equation.replace(" ", ""), operands)
    terms = [(labels, diagonals(tensor, labels)) for labels, tensor in zip(groups, operands, strict=True)]
    terms = [("".join(dict.fromkeys(labels)), tensor) for labels, tensor in terms]
    while len(terms) > 1:
        (left, a), (right, b), *rest = terms
        kept = set(result).union(*(labels for labels, _ in rest))
        terms = [contracted(left, a, right, b, kept, sizes), *rest]
    labels, tensor = terms[0]
    dropped = [i for i, label in enumerate(labels) if label not in result]
    if dropped:
        tensor = tensor.sum(tuple(dropped))
        labels = "".join(label for label in labels if label in result)
    return tensor.permute([labels.index(label) for label in result]) if labels != result else tensor


def from_lists(arguments):
    """Tensors and lists of index numbers in turn, as an equation and operands."""
    pairs = len(arguments) // 2

    def letters(numbers):
        return "".join("..." if n is Ellipsis else LETTERS[n] for n in numbers)

    equation = ",".join(letters(arguments[2 * i + 1]) for i in range(pairs))
    if len(arguments) % 2:
        equation += "->" + letters(arguments[-1])
    return equation, tuple(arguments[2 * i] for i in range(pairs))


def parsed(equation, operands):
    """(indices of each operand, indices of the result, extent of each index), ``...`` replaced by indices of its own."""
    left, arrow, result = equation.partition("->")
    groups = left.split(",")
    if len(groups) != len(operands):
        more = "fewer" if len(groups) > len(operands) else "more"
        raise RuntimeError(f"einsum(): {more} operands were provided than specified in the equation")
    spare = [chr(code) for code in range(0x100, 0x180)]
    hidden = max(
        (t._array.ndim - len(g.replace("...", "")) for g, t in zip(groups, operands, strict=True) if "..." in g),
        default=0,
    )
    ellipsis = "".join(spare[:hidden])
    counts = {}
    for label in left.replace("...", "").replace(",", ""):
        if label not in LETTERS:
            raise RuntimeError(f"einsum(): invalid subscript given at index {equation.index(label)} in the equation string, "
                               "subscripts must be in [a-zA-Z]")  # fmt: skip
        counts[label] = counts.get(label, 0) + 1
    full, sizes = [], {}
    for number, (group, tensor) in enumerate(zip(groups, operands, strict=True)):
        ndim = tensor._array.ndim
        missing = ndim - len(group.replace("...", ""))
        if missing < 0 or (missing and "..." not in group):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(group.replace('...', ''))}) does not match the "
                f"number of dimensions ({ndim}) for operand {number}"
                + ("" if missing < 0 else " and no ellipsis was given")
            )
        labels = group.replace("...", ellipsis[hidden - missing :]) if "..." in group else group
        full.append(labels)
        for label, extent in zip(labels, tensor._array.shape, strict=True):
            known = sizes.setdefault(label, extent)
            if known != extent and 1 not in (known, extent):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {extent} for operand {number} which does not broadcast with "
                    f"previously seen size {known}"
                )
            sizes[label] = max(known, extent) if 0 not in (known, extent) else 0
    if not arrow:
        result = "..." + "".join(sorted(label for label, count in counts.items() if count == 1))
    for label in result.replace("...", ""):
        if label not in counts:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
        if result.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
    return full, result.replace("...", ellipsis), sizes


def diagonals(tensor, labels):
    """`tensor` with each index that it has twice taken once, along the diagonal; the index keeps its first place."""
    while len(set(labels)) < len(labels):
        first = next(i for i, label in enumerate(labels) if label in labels[i + 1 :])
        second = labels.index(labels[first], first + 1)
        tensor = tensor.diagonal(0, first, second).movedim(-1, first)
        labels = labels[:second] + labels[second + 1 :]
    return tensor


def contracted(left, a, right, b, kept, sizes):
    """One pair of operands multiplied and summed over the indices that nothing else needs."""
    a, left = summed_alone(a, left, set(right) | kept)
    b, right = summed_alone(b, right, set(left) | kept)
    batch = "".join(label for label in left if label in right and label in kept)
    inner = "".join(label for label in left if label in right and label not in kept)
    rows = "".join(label for label in left if label not in right)
    columns = "".join(label for label in right if label not in left)

    def arranged(tensor, labels, *parts):
        """The tensor with its indices in this order, each part one dimension of the extent that the equation gives it."""
        order = "".join(parts)
        tensor = tensor.permute([labels.index(label) for label in order]) if order != labels else tensor
        shape = [sizes[label] for label in order]
        shared = set(batch + inner)
        shape = [n if label in shared else m for label, n, m in zip(order, shape, tensor._array.shape, strict=True)]
        extents = [extent(part, sizes) for part in parts]
        return tensor.expand(shape).reshape(extents)

    product = arranged(a, left, batch, rows, inner) @ arranged(b, right, batch, inner, columns)
    labels = batch + rows + columns
    return labels, product.reshape([sizes[label] for label in labels])


def summed_alone(tensor, labels, needed):
    """Indices that only this operand has, and nobody needs, are summed first."""
    alone = tuple(i for i, label in enumerate(labels) if label not in needed)
    return (tensor.sum(alone), "".join(label for label in labels if label in needed)) if alone else (tensor, labels)


def extent(labels, sizes):
    total = 1
    for label in labels:
        total *= sizes[label]
    return total
