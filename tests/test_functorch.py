"""functorch, the older home of torch.func: modules as functions of their parameters."""

import pytest

import wengert as torch
from wengert import functorch, nn


def test_a_module_is_a_function_of_its_parameters():
    model = nn.Linear(3, 2)
    function, params = functorch.make_functional(model)
    x = torch.randn(4, 3)
    assert function(params, x).equal(model(x))
    assert function([2 * p for p in params], x).allclose(2 * model(x))
    assert all(p.requires_grad and p is not q for p, q in zip(params, model.parameters()))
    assert not any(p.requires_grad for p in functorch.make_functional(model, disable_autograd_tracking=True)[1])


def test_buffers_go_in_separately():
    model = nn.BatchNorm1d(3).eval()
    with pytest.raises(RuntimeError, match="has buffers"):
        functorch.make_functional(model)
    function, params, buffers = functorch.make_functional_with_buffers(model)
    x = torch.randn(4, 3)
    assert function(params, buffers, x).equal(model(x))


def test_an_ensemble_of_models_is_one_function():
    models = [nn.Linear(3, 2) for _ in range(4)]
    function, params, buffers = functorch.combine_state_for_ensemble(models)
    x = torch.randn(5, 3)
    out = functorch.vmap(function, in_dims=(0, 0, None))(params, buffers, x)
    assert out.allclose(torch.stack([model(x) for model in models]))
