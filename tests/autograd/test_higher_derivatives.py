"""Derivatives of derivatives, and what is kept of them."""

import warnings

import wengert as torch


def test_a_square_can_be_differentiated_until_nothing_is_left():
    x = torch.tensor([3.0], requires_grad=True)
    y = x**2
    found = []
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        found.append(y.item())
    assert found == [6.0, 2.0, 0.0]


def test_leaves_do_not_share_the_memory_of_their_gradients():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    (a + b).sum().backward(create_graph=True)
    a.grad.detach().zero_()
    assert b.grad.tolist() == [1.0, 1.0]


def test_a_kept_graph_does_not_hinder_plain_accumulation():
    x = torch.ones(2, requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    kept = x.grad
    (2 * x).sum().backward()
    assert x.grad is kept
    assert kept.tolist() == [5.0, 5.0]


def test_data_of_a_parameter_is_a_plain_tensor():
    p = torch.nn.Parameter(torch.ones(2))
    assert type(p.data) is torch.Tensor
    module = torch.nn.Linear(2, 2)
    module.note = module.weight.data
    assert len(list(module.parameters())) == 2


def test_the_gradient_of_a_real_tensor_made_complex_is_real_without_a_warning():
    x = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x.to(torch.complex64) * 1j).abs().sum().backward()
    assert x.grad.tolist() == [1, 1]
