"""How losses are reduced: the words as the numbers that PyTorch's older code counts with."""

import warnings

from ..ops.losses import legacy_reduction

__all__ = []

NUMBERS = {"none": 0, "mean": 1, "sum": 2}


def get_enum(reduction):
    """The number of "none", "mean" or "sum".

    Raises:
        ValueError: another word.
    """
    if reduction == "elementwise_mean":
        warnings.warn(
            "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=2
        )
        return NUMBERS["mean"]
    if reduction not in NUMBERS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return NUMBERS[reduction]


def legacy_get_string(size_average, reduce, emit_warning=True):
    """The word for the two flags that losses took before they took `reduction`."""
    with warnings.catch_warnings():
        if not emit_warning:
            warnings.simplefilter("ignore")
        return legacy_reduction(size_average, reduce)


def legacy_get_enum(size_average, reduce, emit_warning=True):
    """The number for the two flags that losses took before they took `reduction`."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
