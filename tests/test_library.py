"""torch.library: operators that a program defines are called by name and derived as it says."""

import numpy as np
import pytest

import wengert as torch
from wengert import Tensor, library


@pytest.fixture
def sine():
    @library.custom_op("tests::sine", mutates_args=(), device_types="cpu")
    def sine(x: Tensor, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(scale * np.sin(x.numpy()))

    return sine


def test_an_operator_is_found_under_its_name(sine):
    x = torch.tensor([0.5])
    assert torch.ops.tests.sine(x).item() == torch.ops.tests.sine.default(x).item() == sine(x).item()
    assert torch.ops.tests.sine(x, scale=2.0).item() == pytest.approx(2 * np.sin(0.5))


def test_its_derivative_is_the_registered_one(sine):
    def keep(ctx, inputs, output):
        ctx.x, ctx.scale = inputs

    sine.register_autograd(lambda ctx, g: (g * ctx.scale * ctx.x.cos(), None), setup_context=keep)
    x = torch.tensor([0.5], requires_grad=True)
    sine(x, 3.0).backward()
    assert x.grad.item() == pytest.approx(3 * np.cos(0.5))


def test_without_a_derivative_backward_says_so(sine):
    x = torch.tensor([0.5], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"through tests\.sine\.default but no autograd formula was registered"):
        sine(x).backward()


def test_arguments_are_checked(sine):
    with pytest.raises(RuntimeError, match="value of type 'Tensor' for argument 'x' but instead found type 'int'"):
        sine(3)
    with pytest.raises(ValueError, match="Parameter x must have a type annotation"):
        library.custom_op("tests::bare", lambda x: x, mutates_args=())
    with pytest.raises(ValueError, match="namespace::name"):
        library.define("tests", "(Tensor x) -> Tensor")


def test_a_library_defines_and_implements():
    lib = library.Library("tests_lib", "DEF")
    lib.define("twice(Tensor x) -> Tensor")
    with pytest.raises(NotImplementedError, match="tests_lib::twice"):
        torch.ops.tests_lib.twice(torch.ones(1))
    lib.impl("twice", lambda x: 0 * x, "CUDA")  # a device that isn't here
    lib.impl("twice", lambda x: 2 * x, "CPU")
    x = torch.ones(1, requires_grad=True)
    torch.ops.tests_lib.twice(x).backward()
    assert x.grad.item() == 2


def test_unknown_names_are_missing_attributes():
    with pytest.raises(AttributeError, match="tests_nowhere"):
        _ = torch.ops.tests_nowhere
    with pytest.raises(NotImplementedError, match=r"torch\.ops\.aten\.nothing"):
        torch.ops.aten.nothing.default(1)
    with pytest.raises(OSError, match="Could not load this library"):
        torch.ops.load_library("operators.so")


def test_own_operations_are_under_aten():
    assert torch.ops.aten.add.Tensor(torch.ones(1), torch.ones(1)).item() == 2
    assert torch.ops.aten.relu(torch.tensor([-1.0])).item() == 0
