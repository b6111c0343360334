"""Other ways to write a call that PyTorch understands, asked for only when a call as written doesn't fit.

NumPy's names for arguments (`axis`, `keepdims`, `x1`); numbers between the tensors, as before PyTorch 1.5
(`p.addcmul_(-lr, m, v)`); tensors of one element where a number is meant (`alpha=step * ratio`); Python's types for
dtypes (`dtype=float`); two numbers for tensors (`torch.div(7, 2)`).
"""

import warnings

import numpy as np

from wengert.dtypes import BY_PYTHON, from_python, of_scalar
from wengert.tensor import Tensor, wrap

NUMPYS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
# What the numbers among the tensors multiply, in the old order.
MULTIPLIERS = {
    "add": ("alpha",), "sub": ("alpha",), "addcmul": ("value",), "addcdiv": ("value",),
    "addmm": ("beta", "alpha"), "addmv": ("beta", "alpha"), "addr": ("beta", "alpha"),
    "addbmm": ("beta", "alpha"), "baddbmm": ("beta", "alpha"),
}  # fmt: skip
# The operations that PyTorch does on numbers alone as if the first were a tensor.
OF_NUMBERS = {"add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "floor_divide"}
NUMBERS = {"alpha", "beta", "value", "negative_slope", "threshold", "lambd", "eps"}


def respelled(operation, args, kwargs):
    """(args, kwargs) in the usual spelling; None if they are in it already."""
    for change in (
        with_our_names, with_our_dtypes, with_numbers_last, with_numbers_for_tensors, with_a_tensor_for_a_number,
    ):  # fmt: skip
        changed = change(operation, args, kwargs)
        if changed is not None:
            return changed
    return None


def with_our_names(operation, args, kwargs):
    known = operation.signature
    renamed = {
        NUMPYS[name] if name not in known and NUMPYS.get(name) in known else name: value
        for name, value in kwargs.items()
    }
    return (args, renamed) if renamed.keys() != kwargs.keys() else None


def with_our_dtypes(operation, args, kwargs):
    if not any(type(value) is type and value in BY_PYTHON for value in (*args, *kwargs.values())):
        return None
    return [from_python(value) for value in args], {name: from_python(value) for name, value in kwargs.items()}


def with_a_tensor_for_a_number(operation, args, kwargs):
    numbers = [value for value in args if isinstance(value, (int, float, complex))]
    if operation.name not in OF_NUMBERS or len(args) != 2 or len(numbers) != 2:
        return None
    return (wrap(np.asarray(args[0], of_scalar(args[0]).numpy)), args[1]), kwargs


def with_numbers_last(operation, args, kwargs):
    names = MULTIPLIERS.get(operation.name)
    if names is None:
        return None
    tensors = [value for value in args if isinstance(value, Tensor)]
    numbers = [value for value in args if isinstance(value, (int, float, complex))]
    wanted = sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in operation.signature.values())
    if not numbers or len(numbers) > len(names) or len(tensors) != wanted or len(args) != wanted + len(numbers):
        return None
    old = ", ".join("Tensor" if isinstance(value, Tensor) else "Number" for value in args)
    usual = ", ".join(["Tensor"] * wanted + [f"{name}=Number" for name, _ in zip(names, numbers, strict=False)])
    warnings.warn(
        f"This overload of {operation.name} is deprecated:\n\t{operation.name}({old})\n"
        f"Consider using one of the following signatures instead:\n\t{operation.name}({usual})",
        UserWarning,
        stacklevel=5,
    )
    return tensors, {**kwargs, **dict(zip(names, numbers, strict=False))}


def with_numbers_for_tensors(operation, args, kwargs):
    def number(name, value):
        return value.item() if name in NUMBERS and isinstance(value, Tensor) and value.ndim == 0 else value

    names = list(operation.signature)[: len(args)]
    new_args = [number(name, value) for name, value in zip(names, args, strict=False)]
    new_kwargs = {name: number(name, value) for name, value in kwargs.items()}
    same = zip((*new_args, *new_kwargs.values()), (*args, *kwargs.values()), strict=False)
    return None if len(new_args) < len(args) or all(new is old for new, old in same) else (new_args, new_kwargs)
