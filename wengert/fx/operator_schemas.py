"""Arguments brought into the form of a function's signature."""

import inspect
from collections import namedtuple

from wengert.fx.graph_module import member

__all__ = ["ArgsKwargsPair", "normalize_function", "normalize_module"]

ArgsKwargsPair = namedtuple("ArgsKwargsPair", ["args", "kwargs"])


def normalize_function(target, args, kwargs=None, arg_types=None, kwarg_types=None,
                       normalize_to_only_use_kwargs=False):  # fmt: skip
    """(args, kwargs) of a call with defaults filled in; None for what has no signature that Python knows.

    Args:
        normalize_to_only_use_kwargs: everything by keyword.
    """
    try:
        bound = inspect.signature(target).bind(*args, **(kwargs or {}))
    except (TypeError, ValueError):
        return None
    bound.apply_defaults()
    if normalize_to_only_use_kwargs:
        return ArgsKwargsPair((), dict(bound.arguments))
    return ArgsKwargsPair(bound.args, bound.kwargs)


def normalize_module(root, target, args, kwargs=None, normalize_to_only_use_kwargs=False):
    """The same for a call of the submodule of `root` at a dotted path."""
    return normalize_function(
        member(root, target).forward, args, kwargs, normalize_to_only_use_kwargs=normalize_to_only_use_kwargs
    )
