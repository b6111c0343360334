"""The comparison with NumPy compares like with like: both expressions of a pair give the same numbers."""

import warnings

import numpy as np
import pytest

import wengert as torch
from benchmarks import expressions

PAIRS = expressions.generated() | expressions.paired()
DRAWN = ("torch.rand", "torch.bernoulli", "F.dropout", "torch.empty")
"""Random numbers: the engine is the same, its use is not."""
SIGNLESS = ("torch.linalg.eigh", "torch.linalg.svd(")
"""Vectors of which either direction is right: single and double precision may choose otherwise."""


@pytest.fixture(scope="module")
def arrays():
    return expressions.operands(10_400)


def numbers(result):
    """The arrays in a result, whatever holds them."""
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in numbers(part)]
    return [] if result is None else [np.asarray(result)]


@pytest.mark.parametrize("expression", [e for e in PAIRS if not e.startswith(DRAWN)])
def test_both_sides_compute_the_same(expression, arrays):
    copies = {name: array.copy() for name, array in arrays.items()}
    own, reference = expressions.closures(expression, PAIRS[expression], copies, torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = numbers(own()), numbers(reference())
    assert ours
    if expression.startswith(SIGNLESS):
        ours, theirs = ([np.abs(array) for array in side] for side in (ours, theirs))
    for mine in ours:
        alike = [other for other in theirs if other.shape == mine.shape]
        assert not alike or any(np.allclose(mine, other, rtol=2e-3, atol=2e-3, equal_nan=True) for other in alike)


def test_what_is_beyond_the_bound_is_reported_the_slowest_first():
    found = [expressions.Found("a", 10, 4e-3, 1e-3, 4.0), expressions.Found("b", 10, 1e-3, 1e-3, 1.0),
             expressions.Found("c", 10, 9e-3, 1e-3, 9.0)]  # fmt: skip
    first, *rest = expressions.report(found).splitlines()
    assert first.startswith("1 of 3 operations")
    assert [line.split()[2] for line in rest] == ["c", "a"]


def test_the_words_given_choose_what_is_measured():
    found = list(expressions.measured(torch, ["torch.exp2("], sizes=(200_000,)))
    assert [one.expression for one in found] == ["torch.exp2(x)"]
    assert found[0].own > 0 and found[0].numpy > 0
