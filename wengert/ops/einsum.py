"""Einstein's summation: products over dimensions that are named by letters.

An equation is read once for the shapes that it meets: what comes of it is a list of steps, each an operation on what
is there by then (diagonals, sums, arrangements of dimensions, and one batched matrix product for each pair of terms),
and a call only takes the steps. The derivative of each step does the rest.
"""

import math
import string
from functools import lru_cache

from wengert.ops.declare import composite
from wengert.ops.linalg import batched_matmul, mm
from wengert.ops.pointwise import mul
from wengert.ops.reductions import sum
from wengert.ops.shape import diagonal, expand_op, permute_op, reshape_to, unsqueeze
from wengert.tensor import Tensor

# --- reading an equation ----------------------------------------------------------------------------------------------

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
    return tuple(found)


@lru_cache(maxsize=512)
def parse(equation):
    """(labels of each operand, labels of the output or None) from ``"ij,jk->ik"``."""
    left, arrow, right = equation.partition("->")
    inputs = tuple(tokens(term, f"operand {i}") for i, term in enumerate(left.split(",")))
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
    return tuple(letters(labels) for labels in inputs), None if output is None else letters(output), operands


def letters(sublist):
    found = []
    for number in sublist:
        if number is Ellipsis:
            found.append(ELLIPSIS)
        elif not 0 <= number < len(LETTERS):
            raise ValueError(f"einsum(): subscripts in a sublist must be in [0, 52), got {number}")
        else:
            found.append(LETTERS[number])
    return tuple(found)


def resolved(inputs, output, shapes):
    """Labels without ellipses: the dimensions of an ellipsis become labels ``-n .. -1``, counted from the right."""
    if len(inputs) != len(shapes):
        few = "fewer" if len(shapes) < len(inputs) else "more"
        refuse(f"{few} operands were provided than specified in the equation")
    covered = 0
    for i, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        named = len(labels) - (ELLIPSIS in labels)
        if ELLIPSIS not in labels and named != len(shape):
            refuse(
                f"the number of subscripts in the equation ({named}) does not match the number of dimensions "
                f"({len(shape)}) for operand {i} and no ellipsis was given"
            )
        if named > len(shape):
            refuse(
                f"the number of subscripts in the equation ({named}) is more than the number of dimensions "
                f"({len(shape)}) for operand {i}"
            )
        if ELLIPSIS in labels:
            covered = max(covered, len(shape) - named)
    expanded = [spelled(labels, len(shape) - len(labels) + 1) for labels, shape in zip(inputs, shapes, strict=True)]
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


# --- the steps --------------------------------------------------------------------------------------------------------


class Steps(list):
    """(operation, places of its operands, its other arguments) one after the other; each adds its result in a place
    behind the operands and the results before it, and each value is used once.
    """

    def __init__(self, operands):
        self.operands = operands

    def result(self, operation, terms, arguments, labels, shape):
        """What `operation` makes of the terms."""
        self.append((operation, tuple(term.place for term in terms), arguments))
        return Term(self, self.operands + len(self) - 1, labels, shape)

    def take(self, operands):
        """The value of the last step."""
        values = list(operands)
        for operation, places, arguments in self:
            given = [values[place] for place in places]
            for place in places:
                values[place] = None
            values.append(operation(*given, *arguments))
        return values[-1]


class Term:
    """A value to come: where it will be, what its dimensions are called and how long they are."""

    def __init__(self, steps, place, labels, shape):
        self.steps, self.place, self.labels, self.shape = steps, place, list(labels), tuple(shape)

    def then(self, operation, arguments, labels, shape):
        return self.steps.result(operation, [self], arguments, labels, shape)

    def without_repeats(self):
        """A label that occurs twice in one operand means its diagonal."""
        for label in self.labels:
            if self.labels.count(label) > 1:
                return self.on_diagonal(label).without_repeats()
        return self

    def on_diagonal(self, label):
        first = self.labels.index(label)
        second = self.labels.index(label, first + 1)
        extent, other = self.shape[first], self.shape[second]
        if extent != other:
            refuse(f"subscript {label} is repeated for operand but the sizes don't match, {other} != {extent}")
        rest = [i for i in range(len(self.labels)) if i not in (first, second)]
        labels, shape = [self.labels[i] for i in rest], [self.shape[i] for i in rest]
        return self.then(diagonal, (0, first, second), [*labels, label], [*shape, extent])

    def summed(self, wanted):
        """Dimensions that nobody else names are summed at once."""
        kept = [i for i, label in enumerate(self.labels) if label in wanted]
        gone = tuple(i for i, label in enumerate(self.labels) if label not in wanted)
        if not gone:
            return self
        return self.then(sum, (gone,), [self.labels[i] for i in kept], [self.shape[i] for i in kept])

    def ordered(self, labels):
        """Dimensions in the order of `labels`."""
        order = tuple(self.labels.index(x) for x in labels)
        if order == tuple(range(len(order))):
            return self
        return self.then(permute_op, (order,), labels, [self.shape[i] for i in order])

    def shaped(self, shape, labels=()):
        return self if self.shape == tuple(shape) else self.then(reshape_to, (tuple(shape),), labels, shape)

    def spread_out(self, wanted):
        """Dimensions in the order `wanted`, of one element where the term has none."""
        term = self.ordered([x for x in wanted if x in self.labels])
        extents = iter(term.shape)
        return term.shaped([next(extents) if x in self.labels else 1 for x in wanted])

    def grouped(self, groups, batch):
        """Dimensions in the order of `groups`, each group as one dimension (no batch: two dimensions)."""
        term = self.ordered([x for group in groups for x in group])
        if batch and term.shape[: len(batch)] != batch:
            shape = (*batch, *term.shape[len(batch) :])
            term = term.then(expand_op, (shape,), term.labels, shape)
        shape, at = [], 0
        for group in groups:
            shape.append(math.prod(term.shape[at : at + len(group)]))
            at += len(group)
        return term.shaped(shape if batch else shape[1:])


def check_extents(terms):
    seen = {}
    for i, term in enumerate(terms):
        for label, n in zip(term.labels, term.shape, strict=True):
            if n != 1 and seen.setdefault(label, n) != n:
                refuse(
                    f"subscript {label} has size {n} for operand {i} which does not broadcast with previously seen "
                    f"size {seen[label]}"
                )


def contracted(a, b, wanted):
    """The product of two terms, summed over what only they share, as one batched matrix product."""
    a = a.summed({*wanted, *b.labels})
    b = b.summed({*wanted, *a.labels})
    sizes = dict(zip(b.labels, b.shape, strict=True))
    sizes |= {label: n for label, n in zip(a.labels, a.shape, strict=True) if n != 1 or label not in sizes}
    shared = [label for label in a.labels if label in b.labels]
    joined = [x for x in shared if x not in wanted and a.shape[a.labels.index(x)] == b.shape[b.labels.index(x)]]
    # What is shared, unwanted and of one element on one side alone is summed on the other.
    alone = {x for x in shared if x not in wanted and x not in joined}
    a, b = a.summed({*a.labels} - alone), b.summed({*b.labels} - alone)
    batch = [x for x in shared if x in wanted]
    a_only = [x for x in a.labels if x not in b.labels]
    b_only = [x for x in b.labels if x not in a.labels]
    labels = [*batch, *a_only, *b_only]
    shape = tuple(sizes[x] for x in labels)
    if not joined:  # nothing to sum: an element by element product
        return a.steps.result(mul, [a.spread_out(labels), b.spread_out(labels)], (), labels, shape)
    many = tuple(sizes[x] for x in batch)
    left = a.grouped([batch, a_only, joined], many)
    right = b.grouped([batch, joined, b_only], many)
    product = a.steps.result(batched_matmul if batch else mm, [left, right], (), (), ())
    return product.then(reshape_to, (shape,), labels, shape)


@lru_cache(maxsize=512)
def planned(inputs, output, shapes):
    """The steps from operands of these shapes to what the equation asks for."""
    inputs, output = resolved(inputs, output, shapes)
    steps = Steps(len(shapes))
    terms = [
        Term(steps, i, labels, shape).without_repeats()
        for i, (labels, shape) in enumerate(zip(inputs, shapes, strict=True))
    ]
    check_extents(terms)
    term = terms[0]
    for i, other in enumerate(terms[1:], 1):
        term = contracted(term, other, {*output, *(label for rest in terms[i + 1 :] for label in rest.labels)})
    term = term.summed(set(output))
    for label in output:  # an ellipsis may be wider in the output than in what is left
        if label not in term.labels:
            term = term.then(unsqueeze, (0,), [label, *term.labels], (1, *term.shape))
    if not steps or steps[-1][0] is diagonal:  # even what is asked for as it is comes as a view
        term.then(permute_op, (tuple(term.labels.index(x) for x in output),), output, ())
    else:
        term.ordered(output)
    return steps


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
    return planned(inputs, output, tuple(operand._array.shape for operand in operands)).take(operands)


def one_by_one(args):
    """The arguments of `einsum` with the operands of a list as arguments of their own: so overrides are told them."""
    equation, *operands = args
    listed = len(operands) == 1 and isinstance(operands[0], (list, tuple))
    return (equation, *operands[0]) if listed else args


einsum.as_told = one_by_one
