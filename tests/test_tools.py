"""The generators of stubs and of the pages of derivatives state what the declarations say."""

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make_stubs():
    return tool("make_stubs")


@pytest.fixture(scope="module")
def make_derivatives():
    return tool("make_derivatives")


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


def table_of(page):
    """The cells of each line of a page's tables, without the headers."""
    lines = [line for line in page.splitlines() if line.startswith("|") and not line.startswith("|---")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [line for line in cells if line[2].startswith("`")]


def test_the_page_of_derivatives_shows_the_formulas_of_the_declarations(make_derivatives):
    lines = table_of(make_derivatives.page("en"))
    assert ["`exp`", "`input`", "`g * out`", "`out`"] in lines
    at = lines.index(["`mul`<br>`multiply`", "`input`", "`g * other`", "`other`"])
    assert lines[at + 1] == ["", "`other`", "`g * input`", "`input`"]
    assert ["`nan_to_num`", "`input`", "`where(isfinite(input), g, 0)`", "`input`"] in lines


def test_every_public_operation_is_on_the_page_of_derivatives(make_derivatives):
    page = make_derivatives.page("en")
    mentioned = set(re.findall(r"`([\w.]+)`", page))
    operations = {
        operation: name
        for functions in make_derivatives.FUNCTIONS.values()
        for name, operation in functions.items()
        if isinstance(operation, make_derivatives.Operation)
    }
    missing = [
        name for operation, name in operations.items() if not mentioned & {name, *make_derivatives.names_of(operation)}
    ]
    assert missing == []


def test_both_languages_show_the_same_formulas(make_derivatives):
    assert table_of(make_derivatives.page("en")) == table_of(make_derivatives.page("zh"))
