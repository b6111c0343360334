"""Clipping, vectors of parameters, calls without state, parametrizations, pruning, fusion."""

import numpy as np
import pytest

import wengert as torch
from wengert import nn
from wengert.func import functional_call
from wengert.nn.utils import parametrizations, parametrize, prune


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def with_gradients(*values):
    params = []
    for v in values:
        p = nn.Parameter(torch.zeros(len(v)))
        p.grad = torch.tensor(v)
        params.append(p)
    return params


def test_clipping_by_norm():
    params = with_gradients([3.0], [0.0, 4.0])
    total = nn.utils.clip_grad_norm_(params, 1.0)
    assert total.item() == 5.0
    np.testing.assert_allclose(params[0].grad.numpy(), [0.6], rtol=1e-5)
    np.testing.assert_allclose(params[1].grad.numpy(), [0, 0.8], rtol=1e-5)


def test_small_gradients_are_left_alone():
    params = with_gradients([0.3, 0.4])
    nn.utils.clip_grad_norm_(params, 1.0)
    np.testing.assert_array_equal(params[0].grad.numpy(), np.float32([0.3, 0.4]))


def test_clipping_by_largest_element_and_by_value():
    params = with_gradients([3.0, -6.0])
    assert nn.utils.clip_grad_norm_(params, 3.0, norm_type=float("inf")).item() == 6.0
    nn.utils.clip_grad_value_(params, 2.0)
    np.testing.assert_allclose(params[0].grad.numpy(), [1.5, -2.0], rtol=1e-5)


def test_a_norm_that_is_not_finite_can_be_an_error():
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(with_gradients([float("inf")]), 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector_and_back():
    layer = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    assert tuple(vector.shape) == (9,)
    nn.utils.vector_to_parameters(torch.arange(9.0), layer.parameters())
    np.testing.assert_array_equal(layer.weight.detach().numpy(), [[0, 1], [2, 3], [4, 5]])
    assert layer.bias.tolist() == [6, 7, 8]


def test_functional_call_leaves_the_module_as_it_was():
    layer = nn.Linear(2, 2)
    weight = layer.weight
    given = {"weight": torch.eye(2).requires_grad_(), "bias": torch.zeros(2)}
    out = functional_call(layer, given, (torch.tensor([[1.0, 2.0]]),))
    assert out.tolist() == [[1, 2]] and layer.weight is weight
    out.sum().backward()
    assert given["weight"].grad is not None and weight.grad is None


def test_weight_norm_keeps_the_weight():
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().numpy().copy()
    parametrizations.weight_norm(layer)
    assert type(layer).__name__ == "ParametrizedLinear" and parametrize.is_parametrized(layer, "weight")
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-5)
    layer.parametrizations.weight.original0.data.mul_(2)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-5)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and isinstance(layer.weight, nn.Parameter)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-5)


def test_spectral_norm_makes_the_largest_singular_value_one():
    layer = parametrizations.spectral_norm(nn.Linear(4, 3), n_power_iterations=20)
    layer(torch.ones(1, 4))
    assert np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0] == pytest.approx(1, abs=1e-3)


def test_a_parametrization_must_keep_the_shape():
    class Wider(nn.Module):
        def forward(self, x):
            return torch.cat([x, x])

    with pytest.raises(ValueError, match="may not change the shape"):
        parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wider())


def test_pruning_masks_and_combines():
    layer = nn.Linear(4, 1)
    layer.weight.data.copy_(torch.tensor([[1.0, -4.0, 2.0, 3.0]]))
    prune.l1_unstructured(layer, "weight", 1)
    assert layer.weight.tolist() == [[0, -4, 2, 3]]
    prune.l1_unstructured(layer, "weight", 1)
    assert layer.weight.tolist() == [[0, -4, 0, 3]]
    assert prune.is_pruned(layer) and sorted(layer.state_dict()) == ["bias", "weight_mask", "weight_orig"]
    prune.remove(layer, "weight")
    assert sorted(layer.state_dict()) == ["bias", "weight"] and layer.weight.tolist() == [[0, -4, 0, 3]]


def test_fusion_computes_the_same():
    conv, bn = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
    bn.running_mean.normal_()
    bn.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 2, 5, 5)
    conv.eval(), bn.eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, bn)
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(conv(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_clipping_the_gradients_of_nothing_is_worth_a_word():
    with pytest.warns(UserWarning, match="is an empty generator"):
        nn.utils.clip_grad_norm_((p for p in ()), 1.0)


def test_what_a_call_puts_in_the_place_of_a_buffer_is_handed_back():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self):
            self.count = self.count + 1

    counter, buffers = Counter(), {"count": torch.tensor([5.0])}
    functional_call(counter, buffers, ())
    assert buffers["count"].item() == 6 and counter.count.item() == 0


def test_amounts_to_prune_are_numbers_or_fractions():
    assert [prune._compute_nparams_toprune(amount, 15) for amount in (0.3, 7, 0)] == [4, 7, 0]
    with pytest.raises(ValueError, match="amount=20 should be smaller than the number of parameters to prune=19"):
        prune._validate_pruning_amount(20, 19)
    with pytest.raises(TypeError, match="Must be int or float"):
        prune._validate_pruning_amount_init("half")
