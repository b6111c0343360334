"""Which kernel runs: NumPy's until there is a large array, then by size; off means off."""

import subprocess
import sys

import numpy as np
import pytest

import wengert
from wengert import fast
from wengert.kernels import choices

llvm = pytest.mark.skipif(not choices.present("llvm"), reason="needs llvmlite, from the extra `fast`")

SMALL = """
import sys
import wengert as torch
from wengert.kernels import choices
x = torch.randn(100, requires_grad=True)
(x.exp() * x).sum().backward()
assert not choices.state.active
assert "llvmlite" not in sys.modules
text = torch.mul.__code__.co_names
y = torch.randn(100_000, requires_grad=True)
assert choices.state.active
assert torch.mul.__code__.co_names != text
(y.exp() * y).sum().backward()
assert "wengert.kernels.cpu.native" in sys.modules
"""

WITHOUT = """
import sys
sys.modules["llvmlite"] = None
import wengert as torch
from wengert.kernels import choices
choices.installed = lambda engine: None
y = torch.randn(100_000, requires_grad=True)
(y.exp() * y).sum().backward()
torch.optim.Adam([y]).step()
assert "wengert.kernels.cpu.pointwise" not in sys.modules
assert "missing: pip install" in torch.fast.report()
"""

BROKEN = """
import warnings
import wengert as torch
from wengert.kernels import cpu
def begin():
    raise OSError("no memory may be executed here")
cpu.begin = begin
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    y = torch.randn(100_000, requires_grad=True)
    (y.exp() * y).sum().backward()
    torch.optim.Adam([y]).step()
assert sum("no memory may be executed" in str(w.message) for w in caught) == 1, caught
from wengert import fast
assert "fails: OSError" in fast.report()
"""


def run(program, **environment):
    import os

    kept = {k: v for k, v in os.environ.items() if k != "WENGERT_FAST_FROM"}
    subprocess.run([sys.executable, "-c", program], check=True, env={**kept, **environment}, timeout=120)


@llvm
def test_a_program_without_large_arrays_never_looks_at_sizes():
    run(SMALL)


def test_everything_works_without_llvm():
    run(WITHOUT)


@llvm
def test_an_engine_that_fails_is_named_once_and_replaced():
    run(BROKEN)


@llvm
def test_off_by_the_environment():
    run("import wengert as t; from wengert.kernels import choices as c\n"
        "x = t.randn(100_000); (x * x).sum(); assert not c.state.active", WENGERT_FAST="0")  # fmt: skip


@llvm
def test_off_and_on_within_a_program():
    x = wengert.linspace(-3, 3, 200_000, requires_grad=True)

    def gradient():
        x.grad = None
        (x.sigmoid() * x.tanh()).sum().backward()
        return x.grad.numpy().copy()

    before = gradient()
    with fast.disabled():
        assert not choices.state.active
        assert not fast.is_enabled()
        without = gradient()
    assert fast.is_enabled()
    np.testing.assert_array_equal(gradient(), before)
    np.testing.assert_allclose(without, before, 1e-5, 1e-6)


@llvm
def test_a_result_written_over_its_operand():
    x = wengert.linspace(-3, 3, 200_000)
    expected = x.numpy() * 2 + 1
    x.mul_(2).add_(1)
    np.testing.assert_allclose(x.numpy(), expected, 1e-6)
    y = x.clone()
    y.sigmoid_()
    np.testing.assert_allclose(y.numpy(), 1 / (1 + np.exp(-expected)), 1e-6)


@llvm
@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "erf", "relu", "sin", "log1p", "abs", "sqrt", "rsqrt"])
def test_large_and_small_agree(name):
    small = wengert.linspace(0.01, 3, 1000, requires_grad=True)
    large = small.detach().repeat(100).requires_grad_()
    for x in (small, large):
        getattr(x, name)().sum().backward()
    function = getattr(wengert, name)
    np.testing.assert_allclose(function(large).detach().numpy()[:1000], function(small).detach().numpy(), 2e-6)
    np.testing.assert_allclose(large.grad.numpy()[:1000], small.grad.numpy(), 1e-5, 1e-6)


@llvm
def test_higher_derivatives_of_large_arrays():
    x = wengert.linspace(0.5, 1.5, 50_000, requires_grad=True)
    (first,) = wengert.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = wengert.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(second.numpy(), 6 * x.detach().numpy(), 1e-5)


def test_every_line_of_the_table_names_a_kernel_that_exists():
    from importlib import import_module
    from operator import attrgetter

    if not choices.present("llvm"):
        pytest.skip("needs llvmlite, from the extra `fast`")
    for key, choice in choices.CHOICES.items():
        module, _, name = choice.kernel.partition(":")
        assert attrgetter(name)(import_module(module)) is not None, key


def test_the_doctor_says_what_is_active_and_how_to_get_the_rest(capsys):
    from wengert import cli

    cli.main(["doctor"])
    report = capsys.readouterr().out
    assert "all pointwise operations" in report
    for engine in choices.ENGINES:
        assert engine in report
        assert choices.present(engine) or "pip install" in report
