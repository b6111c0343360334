"""``torch._foreach_*``: one operation on each tensor of a list, as optimisers and averages of weights write it.

``_foreach_add(tensors, others)`` is ``[t.add(o) for ...]``: an operand is a list with one entry for each tensor, or one
value for all of them. The forms in place (``_foreach_add_``) return the list that they were given.
"""

from wengert.tensor import Tensor

OPERATIONS = frozenset(
    """
    abs acos add asin atan ceil clamp_max clamp_min clone copy cos cosh div erf erfc exp expm1 floor frac lgamma log
    log10 log1p log2 max maximum minimum mm mul neg pow reciprocal round rsqrt sigmoid sign sin sinh sqrt sub tan tanh
    trunc zero
    """.split()  # noqa: SIM905 - a list of words reads better
)
FOR_NUMBERS = {"maximum": "clamp_min", "minimum": "clamp_max"}  # what takes a number where these take tensors
ONLY_IN_PLACE, NEVER_IN_PLACE = ("copy", "zero"), ("clone", "max", "mm", "norm")


def check_lists(tensors, *operands):
    """Raise RuntimeError for an empty list, or operands of another length."""
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    for operand in operands:
        if isinstance(operand, list | tuple) and len(operand) != len(tensors):
            if operand and isinstance(operand[0], Tensor):
                raise RuntimeError(
                    f"Tensor lists must have the same number of tensors, got {len(tensors)} and {len(operand)}"
                )
            raise RuntimeError("Tensor list must have same number of elements as scalar list.")


def at(operand, index):
    """An operand for one of the tensors."""
    return operand[index] if isinstance(operand, list | tuple) else operand


def apply(name, in_place, tensors, rows):
    """Call a method of each tensor with its row of (arguments, keywords)."""
    method = f"{name}_" if in_place else name
    if in_place and not hasattr(Tensor, method):
        for tensor, (arguments, keywords) in zip(tensors, rows):
            tensor.copy_(getattr(tensor, name)(*arguments, **keywords))
        return tensors
    results = [getattr(tensor, method)(*arguments, **keywords) for tensor, (arguments, keywords) in zip(tensors, rows)]
    return tensors if in_place else tuple(results)


def elementwise(name, in_place):
    """The function for an operation whose operands are lists or single values."""

    def function(self, *operands, alpha=None, non_blocking=False):
        check_lists(self, *operands)
        keywords = {} if alpha is None else {"alpha": alpha}
        rows = [(tuple(at(operand, i) for operand in operands), keywords) for i in range(len(self))]
        numbers = operands and not isinstance(rows[0][0][0], Tensor)
        return apply(FOR_NUMBERS.get(name, name) if numbers else name, in_place, self, rows)

    return function


def pow_of(in_place):
    """Powers: also of one number, with a list of exponents."""
    of_tensors = elementwise("pow", in_place)

    def function(self, exponent):
        if isinstance(self, list | tuple):
            return of_tensors(self, exponent)
        if in_place:
            raise TypeError(f"_foreach_pow_(): argument 'self' must be tuple of Tensors, not {type(self).__name__}")
        return tuple(self**each for each in exponent)

    return function


def with_value(name, in_place):
    """addcmul and addcdiv: a product or quotient of two lists, times a value or one of several."""

    def function(self, tensor1, tensor2, value=1, scalars=None):
        value = value if scalars is None else scalars
        value = value.tolist() if isinstance(value, Tensor) else value
        check_lists(self, tensor1, tensor2, value)
        rows = [((tensor1[i], tensor2[i]), {"value": at(value, i)}) for i in range(len(self))]
        return apply(name, in_place, self, rows)

    return function


def lerp(in_place):
    """Between two lists, by a weight or one of several."""

    def function(self, tensors1, weight=None, weights=None, scalars=None):
        weight = next(each for each in (weight, weights, scalars) if each is not None)
        check_lists(self, tensors1, weight)
        rows = [((tensors1[i], at(weight, i)), {}) for i in range(len(self))]
        return apply("lerp", in_place, self, rows)

    return function


def norm(self, ord=2, dtype=None):
    """The norm of each tensor."""
    import wengert

    check_lists(self)
    return tuple(wengert.linalg.vector_norm(tensor, ord, dtype=dtype) for tensor in self)


def named(name):
    """The function ``torch._foreach_<name>``; AttributeError if PyTorch has none."""
    operation, in_place = name.removesuffix("_"), name.endswith("_")
    wrong = operation in (NEVER_IN_PLACE if in_place else ONLY_IN_PLACE)
    if operation in ("addcmul", "addcdiv"):
        function = with_value(operation, in_place)
    elif operation == "lerp":
        function = lerp(in_place)
    elif operation == "pow":
        function = pow_of(in_place)
    elif name == "norm":
        function = norm
    elif operation in OPERATIONS and not wrong:
        function = elementwise(operation, in_place)
    else:
        raise AttributeError(f"module 'wengert' has no attribute '_foreach_{name}'")
    function.__name__ = function.__qualname__ = f"_foreach_{name}"
    return function
