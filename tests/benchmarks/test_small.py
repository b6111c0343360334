"""The survey of small operations: its expressions can be run, and its report counts what it shows."""

import pytest

import wengert as torch
from benchmarks import small

ARRAYS = small.operands(small.SIZES["tiny"])


def test_every_line_has_a_family_and_an_expression():
    assert all(line.family and line.expression for line in small.lines())
    assert len({(line.expression, line.setup) for line in small.lines()}) == len(small.lines())


@pytest.mark.parametrize("line", small.lines()[::12], ids=lambda line: line.expression)
def test_expressions_run_without_gradient(line):
    assert small.prepared(torch, line, ARRAYS, "forward") is not None


def test_a_backward_step_ends_in_the_leaves_and_leaves_nothing_behind():
    step = small.prepared(torch, small.Line("F.linear(x, y)", "", "products"), ARRAYS, "backward")
    step()
    names = step.__globals__
    assert {id(leaf) for leaf in names["leaves"]} == {id(names["x"]), id(names["y"])}
    assert all(leaf.grad is None for leaf in names["leaves"])


def test_what_has_no_gradient_has_no_backward_step():
    assert small.prepared(torch, small.Line("x == y", "", "comparison"), ARRAYS, "backward") is None


def test_the_report_shows_the_slowest_first_and_counts_all():
    found = [
        small.Found("x + y", "tiny", "forward", 1e-6, 2e-6, 0.5),
        small.Found("x.sum()", "tiny", "forward", 4e-6, 1e-6, 4.0),
    ]
    head, first, second, _, _, counts, _ = small.report(found, shown=2).splitlines()
    assert head.split()[0] == "ratio" and "x.sum()" in first and "x + y" in second
    assert counts.split() == ["tiny", "forward", "2", "1", "1", "1", "0", "2.25"]
