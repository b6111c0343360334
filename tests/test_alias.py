"""wengert under the name torch: one set of modules with two names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wengert
from wengert.torch_version import TorchVersion

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(wengert.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
INSTALL = "import sys; from wengert.alias import install_as_torch; install_as_torch()\n"


def python(program, *paths):
    """Run `program` in a fresh interpreter (the alias changes the whole process) and return what it printed."""
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([*map(str, paths), ENVIRONMENT["PYTHONPATH"]])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestOneModuleTwoNames:
    def test_the_package(self):
        assert python(INSTALL + "import torch, wengert; print(torch is wengert)") == ["True"]

    @pytest.mark.parametrize("first", ["torch", "wengert"])
    def test_a_module_runs_once_whichever_name_comes_first(self, first):
        program = f"""
import {first}.torch_version
import torch.torch_version as a, wengert.torch_version as b
from torch import torch_version as c
from torch.torch_version import TorchVersion
print(a is b is c, sys.modules["torch.torch_version"] is b, TorchVersion is b.TorchVersion, b.__name__, b.__spec__.name)
"""
        assert python(INSTALL + program) == ["True True True wengert.torch_version wengert.torch_version"]

    def test_packages_below_the_package(self):
        program = "import torch.kernels as a, wengert.kernels as b; print(a is b, a.__spec__.name)"
        assert python(INSTALL + program) == ["True wengert.kernels"]

    def test_modules_loaded_before_have_both_names_at_once(self):
        program = "import wengert.torch_version\n" + INSTALL + "print(sys.modules['torch.torch_version'].__name__)"
        assert python(program) == ["wengert.torch_version"]

    def test_an_error_while_a_module_loads_is_not_hidden(self, tmp_path):
        program = f"""
import wengert; wengert.__path__.append({str(tmp_path)!r})
try:
    import torch.broken
except ZeroDivisionError as error:
    print("as it was", "torch.broken" in sys.modules, "wengert.broken" in sys.modules)
"""
        (tmp_path / "broken.py").write_text("1 / 0")
        assert python(INSTALL + program) == ["as it was False False"]

    def test_unpickling_by_torch_name(self):
        program = "import pickle; print(pickle.loads(b'ctorch.torch_version\\nTorchVersion\\n.').__module__)"
        assert python(INSTALL + program) == ["wengert.torch_version"]

    def test_twice_is_once(self):
        program = "before = list(sys.meta_path); install_as_torch(); print(sys.meta_path == before)"
        assert python(INSTALL + program) == ["True"]


class TestOtherProcesses:
    def test_a_spawned_child_has_the_alias(self, tmp_path):
        (tmp_path / "work.py").write_text("import torch\ndef name(): return torch.__name__\n")
        program = """
import multiprocessing.spawn
from wengert.alias import install_as_torch
install_as_torch()
import work
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(work.name))
"""
        assert python(program, tmp_path) == ["torch"]


class TestPyTorchItself:
    def test_imported_before_is_an_error_that_says_so(self, tmp_path):
        (tmp_path / "torch.py").write_text("__version__ = '2.13.0'")
        program = """
import torch
from wengert.alias import install_as_torch
try:
    install_as_torch()
except RuntimeError as error:
    print(error)
"""
        (sentence,) = python(program, tmp_path)
        assert sentence.startswith("PyTorch 2.13.0 is imported in this process already (from ")
        assert "torch.py" in sentence

    def test_installed_but_not_imported_is_hidden(self, tmp_path):
        (tmp_path / "torch").mkdir()
        (tmp_path / "torch" / "__init__.py").write_text("")
        (tmp_path / "torch" / "extra.py").write_text("")
        (tmp_path / "torch-1.0.dist-info").mkdir()
        (tmp_path / "torch-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
        program = """
import torch, importlib.util, importlib.metadata
print(torch.__name__, importlib.util.find_spec("torch.extra"), importlib.metadata.version("torch").split("+")[0])
"""
        assert python(INSTALL + program, tmp_path) == ["torch None 2.13.0"]


class TestWhatLibrariesAsk:
    def test_find_spec(self):
        program = """
from importlib.util import find_spec
print(find_spec("torch") is not None, find_spec("torch.version") is not None, find_spec("torch.no_such"))
"""
        assert python(INSTALL + program) == ["True True None"]

    def test_metadata(self):
        program = """
import importlib.metadata as metadata
print(metadata.version("torch").split("+")[0], metadata.metadata("torch")["Name"])
print("torch" in metadata.packages_distributions()["torch"], metadata.version("NumPy") == metadata.version("numpy"))
"""
        assert python(INSTALL + program) == ["2.13.0 torch", "True True"]

    def test_what_is_missing_is_named(self):
        program = """
for statement in ("import torch.no_such.module", "from torch.no_such import x", "import torch.kernels.no_such"):
    try:
        exec(statement)
    except ModuleNotFoundError as error:
        print(error, "|", error.name)
"""
        assert python(INSTALL + program) == [
            "wengert has no torch.no_such yet | torch.no_such",
            "wengert has no torch.no_such yet | torch.no_such",
            "wengert has no torch.kernels.no_such yet | torch.kernels.no_such",
        ]


class TestVersion:
    @pytest.mark.parametrize(
        ("smaller", "larger"),
        [
            ("2.9", "2.13.0"),
            ("2.13.0.dev1", "2.13.0a0"),
            ("2.13.0a0", "2.13.0b1"),
            ("2.13.0rc1", "2.13.0"),
            ("2.13.0", "2.13.0+cpu"),
            ("2.13.0+cpu", "2.13.0+wengert.0.1.0"),
            ("2.13.0+cpu", "2.13.0.post1"),
            ("2.13.0.post1", "2.13.1"),
            ("2.13.1", "1!1.0"),
        ],
    )
    def test_order(self, smaller, larger):
        for a, b in ((TorchVersion(smaller), larger), (TorchVersion(smaller), TorchVersion(larger))):
            assert (a < b, a <= b, a > b, a >= b, a == b, a != b) == (True, True, False, False, False, True)

    def test_equal(self):
        assert TorchVersion("2.13.0") == "2.13" == TorchVersion("2.13.0")
        assert TorchVersion("2.13.0") >= (2, 13)
        assert TorchVersion("2.13.0") < (2, 14)

    def test_what_is_no_version_compares_as_text(self):
        assert TorchVersion("2.13.0") < "parrot"
        assert TorchVersion("2.13.0") != "parrot"

    def test_other_types_are_not_comparable(self):
        assert TorchVersion("2.13.0") != 2
        with pytest.raises(TypeError):
            sorted([TorchVersion("2.13.0"), 2.13])

    def test_is_a_string_that_says_2_13_0(self):
        from wengert.torch_version import __version__

        assert isinstance(__version__, str)
        assert __version__.split("+")[0] == "2.13.0"
        assert tuple(map(int, __version__.split("+")[0].split("."))) == (2, 13, 0)
        assert "2.13.0" <= __version__ < "2.14"
        assert {__version__: 1}[str(__version__)] == 1


def test_symbols_of_traced_programs_can_be_named_but_not_made():
    assert not isinstance(3, wengert.SymInt)
    with pytest.raises(NotImplementedError, match="traces no symbols"):
        wengert.SymFloat(1.0)


def test_functions_have_their_other_name():
    assert wengert.functional.einsum is wengert.einsum
    assert "svd_lowrank" in wengert.functional.__all__
    with pytest.raises(AttributeError, match="no attribute 'sin'"):
        _ = wengert.functional.sin


def test_a_function_keeps_its_name_when_the_module_that_it_comes_from_is_imported():
    program = """
import torch.nn.utils.weight_norm, torch.autograd.gradcheck, torch.nn.parallel.data_parallel
print(*(f.__name__ for f in (torch.nn.utils.weight_norm, torch.autograd.gradcheck, torch.nn.parallel.data_parallel)))
"""
    assert python(INSTALL + program) == ["weight_norm gradcheck data_parallel"]
