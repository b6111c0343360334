"""Families load when asked for, and only then."""

import subprocess
import sys

import pytest

import wengert
from wengert.ops import lazy
from wengert.tensor import Tensor

FRESH = "import sys, wengert; x = wengert.ones(2, 2); {}; print(*(n for n in sys.modules if n.startswith('wengert.')))"


def loaded_after(statement):
    run = subprocess.run([sys.executable, "-c", FRESH.format(statement)], capture_output=True, text=True, check=True)
    return {name.removeprefix("wengert.ops.") for name in run.stdout.split()}


def test_importing_loads_no_family():
    assert not loaded_after("x + x") & set(lazy.FUNCTIONS)


@pytest.mark.parametrize(
    ("statement", "family"),
    [
        ("wengert.einsum('ij->ji', x)", "einsum"),
        ("x.diag()", "arrangement"),
        ("wengert.Tensor.lgamma", "special"),
        ("wengert.linalg.inv", "decompositions"),
        ("wengert.hann_window(3)", "windows"),
        ("wengert.fft.fft", "fourier"),
    ],
)
def test_a_name_loads_its_family(statement, family):
    assert family in loaded_after(statement)


@pytest.mark.parametrize("name", lazy.HOME)
def test_every_listed_function_exists(name):
    assert callable(getattr(wengert, name))


@pytest.mark.parametrize("name", " ".join(lazy.METHODS.values()).split())
def test_every_listed_method_exists(name):
    assert callable(getattr(Tensor, name))


@pytest.mark.parametrize("module", ["linalg", "fft", "special", "masked", "testing"])
def test_every_name_of_a_submodule_exists(module):
    module = getattr(wengert, module)
    for name in module.__all__:
        assert callable(getattr(module, name))
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name
