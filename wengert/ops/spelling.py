"""Other ways to write a call that PyTorch understands, asked for only when a call as written doesn't fit.

NumPy's names for arguments (`axis`, `keepdims`, `x1`); numbers between the tensors, as before PyTorch 1.5
(`p.addcmul_(-lr, m, v)`); tensors of one element where a number is meant (`alpha=step * ratio`).
"""

import warnings

from wengert.dtypes import OF_PYTHON
from wengert.tensor import Tensor

NUMPYS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
# What the numbers among the tensors multiply, in the old order.
MULTIPLIERS = {
    "add": ("alpha",), "sub": ("alpha",), "addcmul": ("value",), "addcdiv": ("value",),
    "addmm": ("beta", "alpha"), "addmv": ("beta", "alpha"), "addr": ("beta", "alpha"),
    "addbmm": ("beta", "alpha"), "baddbmm": ("beta", "alpha"),
}  # fmt: skip
NUMBERS = {"alpha", "beta", "value", "negative_slope", "threshold", "lambd", "eps"}


def respelled(operation, args, kwargs):
    """(args, kwargs) in the usual spelling; None if they are in it already."""
    for change in (with_our_names, with_dtypes, with_numbers_last, with_numbers_for_tensors):
        changed = change(operation, args, kwargs)
        if changed is not None:
            return changed
    return None


def with_dtypes(operation, args, kwargs):
    """``dtype=float`` is ``dtype=torch.float64``."""
    given = kwargs.get("dtype")
    found = OF_PYTHON.get(given) if isinstance(given, type) else None
    return None if found is None else (args, {**kwargs, "dtype": found})


def with_our_names(operation, args, kwargs):
    known = operation.signature
    renamed = {
        NUMPYS[name] if name not in known and NUMPYS.get(name) in known else name: value
        for name, value in kwargs.items()
    }
    return (args, renamed) if renamed.keys() != kwargs.keys() else None


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
