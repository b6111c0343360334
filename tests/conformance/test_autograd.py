"""The programs of `autograd_programs` see the same under wengert and under PyTorch: values, names, order, refusals."""

import ast
import inspect
import math
import re
import warnings

import pytest

from tests.conformance import autograd_programs

FACTORIES = [
    autograd_programs.functions,
    autograd_programs.graph,
    autograd_programs.forward_mode,
    autograd_programs.checkpointing,
    autograd_programs.functional,
    autograd_programs.engine,
]
HELPERS = {"leaf", "f", "g"}


def names_in(factory):
    (outer,) = ast.parse(inspect.getsource(factory)).body
    return [n.name for n in outer.body if isinstance(n, ast.FunctionDef) and n.name not in HELPERS]


CASES = [
    pytest.param(factory, name, id=f"{factory.__name__}-{name}") for factory in FACTORIES for name in names_in(factory)
]


def seen_by(torch, factory, name):
    """What a program says, returns and raises under one module."""
    said = []
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            returned = factory(torch, lambda *values: said.append(plain(values)))[name]()
        except Exception as error:
            return said, type(error).__name__, cleaned(str(error))
    return said, "returned", plain(returned)


def cleaned(text):
    """A sentence without addresses and the places in PyTorch's own sources."""
    text = re.sub(r"0x[0-9a-f]+", "0x", text.partition(" (Triggered internally")[0]).replace("wengert.", "torch.")
    return re.sub(r"\.\s+", ".", text)


def plain(value):
    """A value of either module in terms that can be compared."""
    if hasattr(value, "untyped_storage"):
        values = value.detach()
        values = values.float().tolist() if str(value.dtype).endswith("bfloat16") else values.tolist()
        return "tensor", str(value.dtype).rpartition(".")[2], value.requires_grad, list(value.shape), plain(values)
    if hasattr(value, "next_functions"):
        return "node", value.name()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, complex):
        return [value.real, value.imag]
    if value is None or isinstance(value, bool | int | float):
        return value
    return cleaned(str(value))


def same(a, b):
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=2e-5, abs_tol=1e-5)
    return a == b


@pytest.mark.parametrize(("factory", "name"), CASES)
def test_programs_agree(subject, oracle, factory, name):
    said, end, result = seen_by(subject, factory, name)
    expected_said, expected_end, expected_result = seen_by(oracle, factory, name)
    assert end == expected_end, f"{result}\nPyTorch: {expected_result}"
    for mine, theirs in zip(said, expected_said, strict=True):
        assert same(mine, theirs), f"{mine}\nPyTorch: {theirs}"
    if end == "returned":
        assert same(result, expected_result), f"{result}\nPyTorch: {expected_result}"
    else:
        # The same sentence at its beginning; what follows may say more, or less.
        assert result[:20] == expected_result[:20], f"{result}\nPyTorch: {expected_result}"
