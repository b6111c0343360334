"""16-bit floats are computed with in float32 and rounded once, forward and backward."""

import pytest

import wengert as torch

HALVES = [torch.float16, torch.bfloat16]


def numbers(dtype, seed):
    torch.manual_seed(seed)
    return torch.randn(200).to(dtype)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(
    "formula",
    [
        lambda x, y: torch.lerp(x, y, 0.3),
        lambda x, y: torch.addcmul(x, y, y, value=0.3),
        lambda x, y: x * 0.1,
        lambda x, y: x / 0.3,
        lambda x, y: torch.sinc(x),
        lambda x, y: torch.nn.functional.gelu(x),
        lambda x, y: x.view(10, 20) @ y.view(20, 10),
    ],
)
def test_a_result_is_that_of_float32_rounded_once(formula, dtype):
    x, y = numbers(dtype, 0), numbers(dtype, 1)
    assert torch.equal(formula(x, y), formula(x.float(), y.float()).to(dtype))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ["sinc", "erf", "log1p", "atan", "lgamma"])
def test_a_gradient_is_that_of_float32_rounded_once(name, dtype):
    x = numbers(dtype, 0).abs().requires_grad_()
    out = getattr(x, name)()
    g = numbers(dtype, 1)
    out.backward(g)
    wide = x.detach().float().requires_grad_()
    getattr(wide, name)().backward(g.float())
    assert torch.equal(x.grad, wide.grad.to(dtype))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_in_place_forms_round_as_the_others_do(dtype):
    x, y = numbers(dtype, 0), numbers(dtype, 1)
    assert torch.equal(x.clone().lerp_(y, 0.3), torch.lerp(x, y, 0.3))
    assert torch.equal(x.clone().mul_(0.1), x * 0.1)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_sums_round_a_number_that_products_leave_as_it_is(dtype):
    x = numbers(dtype, 0)
    rounded = torch.tensor(0.1, dtype=dtype).float()
    assert torch.equal(x + 0.1, (x.float() + rounded).to(dtype))
    assert torch.equal(x * 0.1, (x.float() * 0.1).to(dtype))


def test_parameters_of_float32_beside_an_input_of_16_bits_get_gradients_of_float32():
    x = numbers(torch.bfloat16, 0).view(10, 20).requires_grad_()
    weight = torch.ones(20, requires_grad=True)
    torch.nn.functional.layer_norm(x, (20,), weight.to(torch.bfloat16)).sum().backward()
    assert x.grad.dtype is torch.bfloat16 and weight.grad.dtype is torch.float32


def test_a_number_of_more_bits_before_16_leaves_the_result_at_16():
    half = torch.tensor([1.5, 2.0], dtype=torch.bfloat16)
    for single in (torch.tensor(2.0), torch.tensor(2.0, dtype=torch.float64)):
        for operation in (torch.mul, torch.div):
            assert operation(single, half).dtype is torch.bfloat16
            assert operation(half, single).dtype is torch.bfloat16
