"""Writes in place: what they do to gradients of bases and views, and which are refused."""

import pytest

import wengert as torch


def leaf():
    return torch.tensor([1.0, 2.0, 3.0], requires_grad=True)


def write_through_a_view(x):
    y = x.clone()
    y[1:].mul_(x[1:])
    return y


def write_the_base_under_a_view(x):
    y = x * 1
    v = y[:2]
    y.mul_(x)
    return v


def views_of_views(x):
    y = x * 1
    v = y.view(3, 1)
    v[1].add_(x[0])
    return v * 2 + y[:, None]


def overwrite_and_go_on(x):
    y = x * 1
    v = y[:2]
    w = v[1:]
    w.zero_()
    v.mul_(2)
    y.add_(x)
    return y.sum() + v.sum() + w.sum()


def copy_into_fresh_memory(x):
    y = torch.zeros(3)
    y[1:].copy_(x[:2] * 3)
    return y


def transposed(x):
    y = x.expand(2, 3).clone()
    v = y.t()
    v[1].zero_()
    v.diagonal().mul_(3)
    return y * torch.arange(6.0).reshape(2, 3)


def indexed(x):
    y = x.clone()
    y[torch.tensor([0, 2])] = x[1:] * 2
    return y


@pytest.mark.parametrize(
    "program, gradient",
    [
        (write_through_a_view, [1.0, 4.0, 6.0]),
        (write_the_base_under_a_view, [2.0, 4.0, 0.0]),
        (views_of_views, [6.0, 3.0, 3.0]),
        (overwrite_and_go_on, [6.0, 3.0, 2.0]),
        (copy_into_fresh_memory, [3.0, 3.0, 0.0]),
        (transposed, [3.0, 0.0, 7.0]),
        (indexed, [0.0, 3.0, 2.0]),
    ],
)
def test_gradients_by_hand(program, gradient):
    x = leaf()
    program(x).sum().backward()
    assert x.grad.tolist() == gradient


@pytest.mark.parametrize(
    "program", [write_through_a_view, write_the_base_under_a_view, views_of_views, overwrite_and_go_on]
)
def test_second_derivatives(program):
    x = leaf().detach().double().requires_grad_()
    assert torch.autograd.gradcheck(program, (x,))
    assert torch.autograd.gradgradcheck(lambda v: program(v * v), (x,))


def test_base_and_view_show_their_history():
    y = leaf().clone()
    v = y[1:]
    v.mul_(2)
    assert repr(y.grad_fn).startswith("<CopySlices")
    assert v.grad_fn.name() == "AsStridedBackward0"
    assert y._version == v._version == 1
    assert v._base is y


def multi_output(x):
    x.clone().split(2)[0].mul_(2)


def made_without_recording(x):
    y = x.clone()
    with torch.no_grad():
        v = y[1:]
    v.mul_(2)


def made_of_a_leaf_without_recording(x):
    with torch.no_grad():
        v = x[1:]
    v.mul_(2)


def sibling_written(x):
    y = x * 1
    pieces = y.chunk(3)
    y.mul_(2)
    pieces[0].sum().backward()


def saved_value_written(x):
    y = x * 1
    z = y * y
    y[0] = 5
    z.sum().backward()


def detached_alias_written(x):
    y = x.clone()
    z = y * y
    y.detach().zero_()
    z.sum().backward()


@pytest.mark.parametrize(
    "program, message",
    [
        (lambda x: x.add_(1), "a leaf Variable that requires grad is being used in an in-place operation"),
        (lambda x: x[1:].add_(1), "a view of a leaf Variable that requires grad"),
        (lambda x: x.__setitem__(0, 1.0), "a view of a leaf Variable that requires grad"),
        (multi_output, "Output 0 of Split is a view and is being modified inplace"),
        (made_without_recording, "A view was created in no_grad mode and is being modified inplace"),
        (made_of_a_leaf_without_recording, "A view was created in no_grad mode and is being modified inplace"),
        (sibling_written, "its base or another view of its base has been modified inplace"),
        (saved_value_written, "is at version 1; expected version 0"),
        (detached_alias_written, "which is output 0 of Clone, is at version 1; expected version 0"),
        (lambda x: (x * 1)[1:].detach_(), "Can't detach views in-place"),
    ],
)
def test_refusals(program, message):
    with pytest.raises(RuntimeError, match=message):
        program(leaf())


def test_data_escapes_notice():
    x = leaf()
    y = x.clone()
    z = y * y
    y.data.zero_()
    z.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


def test_a_result_without_derivative_cuts_the_history():
    y = leaf().clone()
    y.gt_(2)
    assert y.requires_grad
    assert y.grad_fn.name() == "GtBackward0"


def test_a_view_made_unrecorded_requires_grad_as_its_base_does():
    x = torch.ones(4)
    with torch.no_grad():
        view = x.view(2, 2)
    assert not view.requires_grad
    x.requires_grad_()
    assert view.requires_grad and view.is_leaf and view.grad_fn is None
    assert not x.detach().requires_grad


def test_a_view_from_a_custom_function_is_refused_once_its_base_was_written():
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    base = torch.ones(2, requires_grad=True).clone()
    view = Same.apply(base)
    base[0] = 3
    with pytest.raises(RuntimeError, match=r"Output 0 of Same is a view and its base .* custom Function"):
        view.sum().backward()


def test_a_view_of_a_view_made_unrecorded_is_not_written():
    x = torch.zeros(2)
    with torch.no_grad():
        y = x.view(2)
    z = y.requires_grad_().view(2)
    with pytest.raises(RuntimeError, match=r"a view of a view .* is being .* inside the no_grad block"):
        z /= 2


def test_a_view_rearranged_unrecorded_keeps_its_place():
    base = leaf().clone()
    view = base[:2]
    with torch.no_grad():
        view.unsqueeze_(0)
    assert view.shape == (1, 2) and view.grad_fn is not None
    view.mul_(3)
    (g,) = torch.autograd.grad(base.sum(), base)
    assert g.tolist() == [1, 1, 1]


def test_a_view_made_unrecorded_is_not_rearranged_recorded():
    base = leaf().clone()
    with torch.no_grad():
        view = base[:2]
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        view.unsqueeze_(0)
