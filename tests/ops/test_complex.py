"""Complex numbers: conjugates, and derivatives through real views of them."""

import pytest

import wengert as torch


def test_a_conjugate_resolved_is_itself():
    z = torch.tensor([1 + 2j, 3 - 1j])
    assert z.conj().resolve_conj().tolist() == [1 - 2j, 3 + 1j]
    assert z.resolve_conj() is z
    assert z.resolve_neg() is z


def test_a_real_tensor_is_its_own_conjugate():
    x = torch.ones(2)
    assert x.conj() is x


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_gradient_through_a_real_view_may_be_expanded(factor):
    z = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    (torch.view_as_real(z) * factor).sum().backward()
    assert z.grad.tolist() == [factor + factor * 1j] * 2


def test_the_gradient_through_an_untouched_real_view():
    z = torch.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    torch.view_as_real(z).sum().backward()
    assert z.grad.tolist() == [1 + 1j, 1 + 1j]


def test_the_derivative_of_a_part_of_a_single_number():
    z = torch.tensor(1 + 2j, requires_grad=True)
    z.imag.backward()
    assert z.grad.item() == 1j
