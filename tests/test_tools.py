"""The stub generator states what the declarations say."""

import ast
import importlib.util
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]


@pytest.fixture(scope="module")
def make_stubs():
    spec = importlib.util.spec_from_file_location("make_stubs", ROOT / "tools" / "make_stubs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stubs(make_stubs):
    return make_stubs.stubs()


def members_of(text, name):
    (found,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name]
    return {node.name: ast.unparse(node) for node in found.body if isinstance(node, ast.FunctionDef)}


def test_every_stub_is_python(stubs):
    for text in stubs.values():
        ast.parse(text)


def test_a_declared_operation_is_a_function_a_method_and_an_in_place_method(stubs):
    functions = {n.name: ast.unparse(n) for n in ast.parse(stubs["wengert/__init__.pyi"]).body if hasattr(n, "args")}
    assert functions["exp"] == "def exp(input: _Tensor, *, out: _Any=None) -> _Tensor:\n    ..."
    methods = members_of(stubs["wengert/tensor.pyi"], "Tensor")
    assert methods["exp"] == "def exp(self) -> _Tensor:\n    ..."
    assert methods["exp_"] == "def exp_(self) -> _Tensor:\n    ..."
    assert "other: _Tensor | _int | _float | _complex" in methods["mul"]


def test_every_public_attribute_of_a_tensor_is_in_the_stub(stubs):
    (tensor,) = [n for n in ast.parse(stubs["wengert/tensor.pyi"]).body if getattr(n, "name", "") == "Tensor"]
    stated = {n.name for n in tensor.body if isinstance(n, ast.FunctionDef)}
    stated |= {n.target.id for n in tensor.body if isinstance(n, ast.AnnAssign)}
    missing = {name for name in dir(wengert.Tensor) if not name.startswith("_")} - stated
    assert missing == set()


def test_a_parameter_that_may_be_left_out_may_be_none_if_that_is_its_default(make_stubs):
    def kernel(input, weight=None, scale=1.0, *, flag=False):
        raise AssertionError("only its signature matters")

    assert make_stubs.stub_of_function("f", kernel) == (
        "def f(input: _Tensor, weight: _Any = None, scale: _float = 1.0, *, flag: _bool = False) -> _Any: ..."
    )
