"""Calls may be written as NumPy or an older PyTorch has them."""

import pytest

import wengert as torch

x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])


@pytest.mark.parametrize(
    ("numpys", "ours"),
    [
        (lambda: torch.cat([x, y], axis=1), lambda: torch.cat([x, y], dim=1)),
        (lambda: torch.stack([x, y], axis=1), lambda: torch.stack([x, y], dim=1)),
        (lambda: x.cumsum(axis=0), lambda: x.cumsum(dim=0)),
        (lambda: x.unsqueeze(axis=0), lambda: x.unsqueeze(0)),
        (lambda: x[:1].squeeze(axis=0), lambda: x[:1].squeeze(0)),
        (lambda: x.logsumexp(axis=1, keepdims=True), lambda: x.logsumexp(1, keepdim=True)),
        (lambda: x.gather(axis=0, index=torch.tensor([[1, 0]])), lambda: x.gather(0, torch.tensor([[1, 0]]))),
        (lambda: torch.median(x, axis=0).values, lambda: torch.median(x, dim=0).values),
        (lambda: torch.nanmean(x, axis=0, keepdims=True), lambda: torch.nanmean(x, dim=0, keepdim=True)),
        (lambda: torch.diff(x, axis=0), lambda: torch.diff(x, dim=0)),
        (lambda: x.repeat_interleave(2, axis=1), lambda: x.repeat_interleave(2, dim=1)),
    ],
)
def test_numpys_names(numpys, ours):
    assert numpys().equal(ours())


def test_what_is_needed_is_still_needed():
    with pytest.raises(TypeError, match="missing 1 required positional arguments: \"dim\""):
        x.cumsum()
    with pytest.raises(TypeError, match="missing 1 required positional arguments: \"index\""):
        x.gather(0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (lambda: x.clone().add_(-2, y), lambda: x - 2 * y),
        (lambda: torch.sub(x, 2, y), lambda: x - 2 * y),
        (lambda: x.clone().addcmul_(0.5, x, y), lambda: x + 0.5 * x * y),
        (lambda: x.clone().addcdiv_(-1, x, y), lambda: x - x / y),
        (lambda: torch.addmm(2, x, 3, x, y), lambda: 2 * x + 3 * (x @ y)),
        (lambda: x.clone().addmm_(2, x, y), lambda: 2 * x + x @ y),
    ],
)
def test_numbers_between_tensors_as_of_old(old, new):
    with pytest.warns(UserWarning, match="This overload of add.* is deprecated|This overload of sub is deprecated"):
        assert torch.allclose(old(), new())


def test_tensors_of_one_element_stand_for_numbers():
    two = torch.tensor(2.0)
    assert x.add(y, alpha=two).equal(x + 2 * y)
    assert x.clone().add_(y, alpha=-two).equal(x - 2 * y)
    assert torch.addcmul(x, x, y, value=two).equal(x + 2 * (x * y))


PYTHONS = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}


@pytest.mark.parametrize("kind", PYTHONS)
def test_the_types_of_python_stand_for_dtypes(kind):
    dtype = getattr(torch, PYTHONS[kind])
    one = torch.ones(2)
    made = [
        torch.zeros(2, dtype=kind), torch.empty(2, dtype=kind), torch.full((2,), 1, dtype=kind),
        torch.tensor([1], dtype=kind), torch.as_tensor([1], dtype=kind), torch.zeros_like(one, dtype=kind),
        one.new_zeros(2, dtype=kind), one.new_tensor([1], dtype=kind), one.to(kind), one.to("cpu", kind),
        one.to(dtype=kind), torch.eye(2, dtype=kind),
    ]  # fmt: skip
    assert {tensor.dtype for tensor in made} == {dtype}


def test_the_types_of_python_stand_for_dtypes_in_operations():
    one = torch.ones(2, requires_grad=True)
    for result in (one.sum(dtype=float), one.cumsum(0, dtype=float), one.mean(dtype=float), one.softmax(0, float)):
        assert result.dtype is torch.float64 and result.requires_grad
    assert torch.arange(3, dtype=float).dtype is torch.rand(3, dtype=float).dtype is torch.float64
    for layer in (torch.nn.Linear(1, 1).to(float), torch.nn.Linear(1, 1, dtype=float)):
        assert layer.weight.dtype is layer.bias.dtype is torch.float64


@pytest.mark.parametrize("given", [object, "float32", 3])
def test_what_is_no_dtype_is_refused(given):
    with pytest.raises(TypeError, match=r"zeros\(\): argument 'dtype' must be torch\.dtype, not "):
        torch.zeros(2, dtype=given)


def test_arithmetic_of_two_numbers_gives_a_tensor():
    assert torch.div(5, 2).equal(torch.tensor(2.5)) and torch.mul(2, 3).equal(torch.tensor(6))
    assert torch.div(5, 2, rounding_mode="trunc").equal(torch.tensor(2)) and torch.add(1, 2, alpha=3).item() == 7
    assert torch.sub(1, 2).dtype is torch.int64 and torch.floor_divide(-5, 2).item() == -3
    with pytest.raises(TypeError, match=r"remainder\(\): argument 'input'"):
        torch.remainder(5, 2)
