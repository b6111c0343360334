"""jacobian, hessian and products with vectors, against derivatives worked out by hand."""

import numpy as np
import pytest

import wengert as torch
from wengert.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp

X = np.array([1.0, 2.0, 3.0])
V = np.array([1.0, -1.0, 2.0])


def x():
    return torch.from_numpy(X.copy())


def f(x):
    return torch.stack([x[0] * x[1], (x**3).sum()])


J = np.array([[2.0, 1.0, 0.0], 3 * X**2])


def cubes(x):
    return (x**3).sum()


@pytest.mark.parametrize(
    "options", [{}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}, {"create_graph": True}]
)
def test_jacobian(options):
    given = x().requires_grad_() if "create_graph" in options else x()
    found = jacobian(f, given, **options)
    np.testing.assert_allclose(found.detach().numpy(), J)
    assert found.requires_grad == ("create_graph" in options)


def test_jacobian_has_a_block_for_each_result_and_input():
    (ab, aa), (sb, sa) = jacobian(lambda a, b: (a * b, a.sum()), (x(), x() * 2))
    np.testing.assert_allclose(ab.numpy(), np.diag(2 * X))
    np.testing.assert_allclose(aa.numpy(), np.diag(X))
    np.testing.assert_allclose(sb.numpy(), np.ones(3))
    np.testing.assert_allclose(sa.numpy(), np.zeros(3))


@pytest.mark.parametrize("options", [{}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}])
def test_hessian(options):
    np.testing.assert_allclose(hessian(cubes, x(), **options).numpy(), np.diag(6 * X))


def test_products():
    np.testing.assert_allclose(
        vjp(f, x(), torch.tensor([1.0, 2.0], dtype=torch.float64))[1].numpy(), np.array([1, 2]) @ J
    )
    np.testing.assert_allclose(jvp(f, x(), torch.from_numpy(V))[1].numpy(), J @ V)
    np.testing.assert_allclose(vhp(cubes, x(), torch.from_numpy(V))[1].numpy(), 6 * X * V)
    value, product = hvp(cubes, x(), torch.from_numpy(V))
    np.testing.assert_allclose(product.numpy(), 6 * X * V)
    assert value.item() == 36.0


def test_what_does_not_depend_is_zero_or_in_strict_mode_an_error():
    constant = lambda x: torch.ones(2)
    assert jacobian(constant, x()).abs().sum().item() == 0
    with pytest.raises(RuntimeError, match="does not require gradients"):
        jacobian(constant, x(), strict=True)
    with pytest.raises(RuntimeError, match="independent of input 1"):
        jacobian(lambda a, b: a, (x(), x()), strict=True)
    with pytest.raises(RuntimeError, match="independent of the input"):
        hessian(lambda a: a.sum(), x(), strict=True)


def test_arguments_are_checked():
    with pytest.raises(RuntimeError, match="v has invalid size"):
        vjp(f, x(), torch.ones(3))
    with pytest.raises(RuntimeError, match="can only be None if the user-provided function returns a single Tensor"):
        vjp(f, x())
    with pytest.raises(TypeError, match="must be either a Tensor or a tuple of Tensors"):
        jacobian(lambda a: 3, x())
    with pytest.raises(RuntimeError, match="should contain a single element"):
        hessian(f, x())
    with pytest.raises(NotImplementedError, match="not supported together"):
        jacobian(f, x(), create_graph=True, vectorize=True, strategy="forward-mode")


@pytest.mark.parametrize("product", [vjp, jvp, vhp, hvp])
def test_a_graph_is_made_of_inputs_outside_of_any(product):
    given = torch.from_numpy(X.copy())
    scalar = product in (vhp, hvp)

    def cubes(z):
        return (z**3).sum() if scalar else z**3

    v = torch.from_numpy(V)
    expected = 6 * X * V if scalar else 3 * X**2 * V
    result = product(cubes, given, v, create_graph=True)[1]
    np.testing.assert_allclose(result.detach().numpy(), expected)
    assert result.requires_grad
    assert jacobian(lambda z: z**2, given, create_graph=True).detach().diagonal().tolist() == (2 * X).tolist()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda z: vjp(lambda a: a * 2, z, (z, z)), "The given v should contain a single Tensor"),
        (lambda z: hvp(lambda a, b: (a * b).sum(), (z, z), (z,)), "v is a tuple of invalid length: should be 2"),
        (lambda z: vjp(lambda a, b: a * 2, (z, z), z, strict=True), "The output of the .* is independent of input 1"),
        (lambda z: jacobian(lambda a, b: a, (z, z), strict=True), "Output 0 of the .* is independent of input 1"),
        (lambda z: hessian(lambda a: a.sum() * 2, z, strict=True), "While computing the hessian"),
        (lambda z: hessian(lambda a: torch.zeros(3), z, strict=True), "does not require gradients"),
    ],
)
def test_what_is_wrong_is_said_as_pytorch_does(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(x())
