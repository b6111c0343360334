"""One expression under PyTorch and under wengert: the same value, or an error of the same class.

`assert_same(oracle, subject, "torch.ones(2).amax(0)")`. An expression sees `torch`, `F` (nn.functional), `nn`, `np`,
`inf` and `nan`; the random stream starts at seed 0. Lines of a text are told apart by :func:`lines`.
"""

import math
import re
import warnings

import numpy as np

from tests.conformance.compare import Mismatch, check_structure, check_tensor, error_class_matches


def lines(text):
    """The expressions of a text, one a line; empty lines and remarks (#) are left out."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def outcome(module, expression):
    """The value of `expression` with `module` for torch, or the exception it raised."""
    module.manual_seed(0)
    names = {"torch": module, "F": module.nn.functional, "nn": module.nn, "np": np, "inf": math.inf, "nan": math.nan}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return eval(expression, names)
    except Exception as error:
        return error


def difference(oracle, subject, expression, **tolerance):
    """What differs, in words; None where nothing does."""
    expected, actual = outcome(oracle, expression), outcome(subject, expression)
    if isinstance(expected, Exception):
        if not isinstance(actual, Exception):
            return f"{expression}: gives {brief(actual)}, PyTorch raises {brief(expected)}"
        if not error_class_matches(actual, expected):
            return f"{expression}: raises {brief(actual)}, PyTorch raises {brief(expected)}"
        return None
    if isinstance(actual, Exception):
        return f"{expression}: raises {brief(actual)}, PyTorch gives {brief(expected)}"
    try:
        for ours, theirs, where in check_structure(actual, expected):
            check_tensor(ours, theirs, where, **tolerance)
    except Mismatch as mismatch:
        return f"{expression}: {mismatch}"
    return None


def brief(value):
    return re.sub(r"\s+", " ", repr(value))[:160]


def assert_same(oracle, subject, *expressions, **tolerance):
    """Every expression agrees; AssertionError with all that don't."""
    found = [difference(oracle, subject, expression, **tolerance) for expression in expressions]
    assert not any(found), "\n".join(filter(None, found))
