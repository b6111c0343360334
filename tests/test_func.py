"""torch.func: derivatives as functions of functions, nested in each other and in the graph around them."""

import numpy as np
import pytest

import wengert as torch
from wengert.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vjp,
    vmap,
)

X = np.array([1.0, 2.0, 3.0])


def x():
    return torch.from_numpy(X.copy())


def cubes(x):
    return (x**3).sum()


def f(x):
    return torch.stack([x[0] * x[1], (x**3).sum()])


J = np.array([[2.0, 1.0, 0.0], 3 * X**2])


def test_gradients():
    np.testing.assert_allclose(grad(cubes)(x()).numpy(), 3 * X**2)
    gradient, value = grad_and_value(cubes)(x())
    assert value.item() == 36.0
    assert not gradient.requires_grad
    assert not value.requires_grad
    a, b = grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x(), x() * 2)
    np.testing.assert_allclose(a.numpy(), 2 * X)
    np.testing.assert_allclose(b.numpy(), X)
    gradient, aux = grad(lambda a: (cubes(a), a * 2), has_aux=True)(x())
    np.testing.assert_allclose(aux.numpy(), 2 * X)


def test_gradients_of_trees():
    found = grad(lambda p: (p["a"] * p["b"][0]).sum())({"a": x(), "b": [x() * 2]})
    np.testing.assert_allclose(found["a"].numpy(), 2 * X)
    np.testing.assert_allclose(found["b"][0].numpy(), X)


def test_nested_gradients_do_not_confuse_their_variables():
    # d/dx [x · d/dy (x + y)] at y = 1 is 1, not 2: the classic trap of perturbation confusion.
    one = torch.tensor(1.0)
    assert grad(lambda x: x * grad(lambda y: x + y)(one))(one).item() == 1.0
    assert jvp(lambda x: x * jvp(lambda y: x + y, (one,), (one,))[1], (one,), (one,))[1].item() == 1.0
    assert grad(lambda x: x * jvp(lambda y: x + y, (one,), (one,))[1])(one).item() == 1.0
    assert jvp(lambda x: x * grad(lambda y: x + y)(one), (one,), (one,))[1].item() == 1.0


def test_third_derivatives():
    assert grad(grad(grad(lambda x: x**4)))(torch.tensor(2.0)).item() == 48.0
    d = lambda f: lambda x: jvp(f, (x,), (torch.ones_like(x),))[1]
    assert d(d(d(lambda x: x**4)))(torch.tensor(2.0)).item() == 48.0


def test_products():
    value, pull = vjp(f, x())
    np.testing.assert_allclose(value.numpy(), [2.0, 36.0])
    for v in ([1.0, 0.0], [0.0, 1.0], [2.0, -1.0]):
        np.testing.assert_allclose(pull(torch.tensor(v, dtype=torch.float64))[0].numpy(), np.array(v) @ J)
    t = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    np.testing.assert_allclose(jvp(f, (x(),), (t,))[1].numpy(), J @ t.numpy())
    np.testing.assert_allclose(linearize(f, x())[1](t).numpy(), J @ t.numpy())


@pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
def test_jacobians(jacobian):
    np.testing.assert_allclose(jacobian(f)(x()).numpy(), J)
    found = jacobian(lambda a, b: {"product": a * b, "sum": a.sum()}, argnums=(0, 1))(x(), x() * 2)
    np.testing.assert_allclose(found["product"][1].numpy(), np.diag(X))
    np.testing.assert_allclose(found["sum"][0].numpy(), np.ones(3))
    np.testing.assert_allclose(found["sum"][1].numpy(), np.zeros(3))


@pytest.mark.parametrize(
    "second", [hessian, lambda f: jacrev(jacrev(f)), lambda f: jacfwd(jacfwd(f)), lambda f: jacrev(jacfwd(f))]
)
def test_hessians(second):
    np.testing.assert_allclose(second(cubes)(x()).numpy(), np.diag(6 * X))


def test_what_the_function_closes_over_stays_in_the_graph():
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    grad(lambda a: (a * a * w).sum())(x()).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * X)
    p = x().requires_grad_()
    grad(cubes)(p).sum().backward()
    np.testing.assert_allclose(p.grad.numpy(), 6 * X)
    assert not grad(lambda a: (a * a).sum() + w.sum())(x()).requires_grad
    with torch.no_grad():
        np.testing.assert_allclose(grad(cubes)(x()).numpy(), 3 * X**2)


def test_results_are_checked():
    with pytest.raises(RuntimeError, match=r"Expected f.*to return a scalar Tensor, got tensor with 1 dims"):
        grad(f)(x())
    with pytest.raises(RuntimeError, match="to return a Tensor"):
        grad(lambda a: 3.0)(x())
    with pytest.raises(RuntimeError, match="Got argnum=2, but only 1 positional inputs"):
        grad(cubes, argnums=2)(x())
    with pytest.raises(RuntimeError, match="Expected primals to be a tuple"):
        jvp(f, x(), x())
    with pytest.raises(RuntimeError, match="invalid argument for `remove`"):
        functionalize(cubes, remove="views")


def test_a_function_that_writes_in_place_is_functional_as_it_is():
    assert functionalize(lambda a: a.clone().add_(1))(torch.ones(2)).tolist() == [2, 2]


def test_batch_normalization_can_be_told_to_keep_no_statistics():
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.ReLU())
    assert replace_all_batch_norm_modules_(net) is net
    assert net[0].running_mean is None and not net[0].track_running_stats
    examples = torch.tensor([[[0.0, 1.0], [2.0, 5.0]], [[3.0, 1.0], [1.0, 4.0]]])
    together = vmap(net)(examples)
    assert torch.equal(together, torch.stack([net(example) for example in examples]))


A = np.arange(6.0).reshape(2, 3)


def a():
    return torch.from_numpy(A.copy())


def test_vmap():
    np.testing.assert_allclose(vmap(torch.dot)(a(), a()).numpy(), (A * A).sum(1))
    np.testing.assert_allclose(vmap(lambda r: r * 2, in_dims=1, out_dims=1)(a()).numpy(), 2 * A)
    product, rows = vmap(lambda r, v: (r @ v, r), in_dims=(0, None))(a(), x())
    np.testing.assert_allclose(product.numpy(), A @ X)
    np.testing.assert_allclose(rows.numpy(), A)
    np.testing.assert_allclose(vmap(grad(cubes))(a()).numpy(), 3 * A**2)
    np.testing.assert_allclose(vmap(vmap(lambda s: s * s))(a()).numpy(), A * A)
    found = vmap(lambda d: d["a"] + d["b"], in_dims=({"a": 0, "b": None},))({"a": a(), "b": x()})
    np.testing.assert_allclose(found.numpy(), A + X)
    assert vmap(lambda r: (r.sum(), x()), out_dims=(0, None))(a())[1].shape == (3,)


def test_vmap_is_differentiable():
    w = a().requires_grad_()
    vmap(cubes)(w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 3 * A**2)


def test_vmap_says_how_random_numbers_are_drawn():
    draw = lambda v: v * 0 + torch.rand(1)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(draw)(x())
    same = vmap(draw, randomness="same")(x())
    assert (same == same[0]).all()
    assert len(set(vmap(draw, randomness="different")(x()).flatten().tolist())) == 3


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: vmap(lambda a, b: a)(x(), torch.ones(2)), "same size in the mapped dimension"),
        (lambda: vmap(lambda a: 3)(x()), "must only return Tensors"),
        (lambda: vmap(lambda a: a, in_dims=3)(x()), "Got in_dim=3 for some input"),
        (lambda: vmap(lambda a: a, in_dims=(0, 0))(x()), "not compatible with the structure"),
        (lambda: vmap(lambda: 1)(), "got no inputs"),
        (lambda: vmap(lambda a: a, chunk_size=0), "chunk_size"),
    ],
)
def test_vmap_is_careful(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_modules_as_functions_of_their_parameters():
    module = torch.nn.Linear(3, 2)
    parameters = dict(module.named_parameters())
    data = torch.ones(4, 3)
    found = grad(lambda p: functional_call(module, p, (data,)).sum())(parameters)
    np.testing.assert_allclose(found["weight"].numpy(), np.full((2, 3), 4.0))
    assert module.weight.grad is None
    assert module.weight is parameters["weight"]
    ones = functional_call(module, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, data)
    assert ones.tolist() == [[3.0, 3.0]] * 4


def test_tied_parameters_are_replaced_together():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(2, 2, bias=False)
            self.b = self.a

        def forward(self, v):
            return self.b(self.a(v))

    found = functional_call(Tied(), {"a.weight": torch.eye(2) * 2}, (torch.ones(1, 2),))
    assert found.tolist() == [[4.0, 4.0]]


def test_an_ensemble():
    models = [torch.nn.Linear(3, 2) for _ in range(4)]
    parameters, buffers = stack_module_state(models)
    assert parameters["weight"].shape == (4, 2, 3)
    assert parameters["weight"].requires_grad
    assert buffers == {}
    data = torch.ones(5, 3)
    together = vmap(lambda p: functional_call(models[0], p, (data,)))(parameters)
    for model, row in zip(models, together, strict=True):
        np.testing.assert_allclose(row.detach().numpy(), model(data).detach().numpy(), rtol=1e-6)


def test_functions_that_return_no_tensors_are_refused_by_name():
    callers = {torch.func.jacrev: r"vjp\(f, \*primals\)", torch.func.jacfwd: r"jvp\(f, primals, .*\)"}
    for transform, caller in callers.items():
        with pytest.raises(RuntimeError, match=rf"{caller}: expected f\(\*primals\) to return only tensors, got .*int"):
            transform(lambda x: 3)(torch.ones(2))
    with pytest.raises(RuntimeError, match="at least one Tensor"):
        torch.func.jvp(lambda: 3, (), ())
    with pytest.raises(RuntimeError, match=r"cotangents: \(\*, \*\), primal output: \*"):
        torch.func.vjp(lambda x: x, torch.ones(2))[1]((torch.ones(2), torch.ones(2)))


def test_vmap_shares_the_memory_of_an_argument_that_is_only_viewed():
    x = torch.arange(30.0).view(2, 3, 5)
    assert vmap(lambda x: x)(x) is x
    for function in (lambda x: x.t(), lambda x: x[:, 1:], lambda x: x[0]):
        result = vmap(function, 1, -1)(x)
        assert result.data_ptr() >= x.data_ptr()
        assert result._base is x._base
    written = vmap(torch.Tensor.add_, (0, None))(x, 1)
    assert written is x


def test_vmap_over_no_examples_finds_the_shape_of_an_example():
    assert vmap(lambda x: (x.sum(), x[None]), out_dims=(0, 2))(torch.ones(0, 3))[1].shape == (1, 3, 0)


def test_what_each_example_draws_is_what_one_draw_for_all_gives():
    torch.manual_seed(0)
    drawn = vmap(lambda x: x + torch.randn(20), randomness="different")(torch.zeros(4, 20))
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.randn(4, 20))


def test_results_that_differ_have_a_dimension_for_the_batch():
    with pytest.raises(ValueError, match="can not return a BatchedTensor"):
        vmap(lambda x: x, out_dims=None)(x())
    assert vmap(lambda x: ("said", torch.ones(2)), out_dims=None)(x())[0] == "said"
