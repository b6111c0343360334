"""A view made outside of the graph requires grad as its base does: what is computed from it is recorded, and leads
nowhere.
"""

import pytest

import wengert as torch


def unrecorded(cut, requires_grad=True):
    base = torch.ones(3, requires_grad=requires_grad)
    with torch.no_grad():
        return base, cut(base)


VIEWS = pytest.mark.parametrize(
    "cut", [lambda x: x[:2], lambda x: x.view(3, 1), lambda x: x.expand(2, 3), lambda x: x.chunk(1)[0], lambda x: x.T]
)


@VIEWS
@pytest.mark.filterwarnings("ignore")
def test_it_is_a_leaf_from_which_operations_are_recorded(cut):
    base, view = unrecorded(cut)
    assert view.requires_grad and view.is_leaf and view.grad_fn is None
    result = (view * 2).sum()
    assert result.requires_grad and result.grad_fn.next_functions[0][0].next_functions == ((None, 0), (None, 0))
    result.backward()
    assert base.grad is None and view.grad is None


def test_no_gradient_is_found_for_it_or_for_its_base():
    base, view = unrecorded(lambda x: x[:2])
    for asked in (base, view):
        assert torch.autograd.grad((view * 2).sum(), asked, allow_unused=True) == (None,)
        with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
            torch.autograd.grad((view * 2).sum(), asked)


def test_a_pass_cannot_begin_at_it():
    _, view = unrecorded(lambda x: x[0])
    for begin in (view.backward, lambda: torch.autograd.backward([view])):
        with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad"):
            begin()


def test_gradients_beside_it_arrive():
    base, view = unrecorded(lambda x: x[:2])
    other = torch.ones(2, requires_grad=True)
    (view * other + base[1:]).sum().backward()
    assert other.grad.tolist() == [1, 1] and base.grad.tolist() == [0, 1, 1]


def test_it_may_become_a_leaf_of_its_own():
    _, view = unrecorded(lambda x: x[:2])
    view.requires_grad_()
    (view * 2).sum().backward()
    assert view.grad.tolist() == [2, 2]


def test_it_follows_what_its_base_is_told():
    base = torch.ones(3)
    view = base[:2]
    base.requires_grad_()
    assert view.requires_grad and (view * 2).requires_grad
    base.requires_grad_(False)
    assert not view.requires_grad and not (view * 2).requires_grad


def test_it_is_not_written_where_writes_are_recorded():
    _, view = unrecorded(lambda x: x[:2])
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode and is being modified inplace"):
        view.mul_(2)
    with torch.no_grad():
        view.mul_(2)


def test_a_recorded_write_to_its_base_strands_it():
    base = torch.ones(3, requires_grad=True) * 1
    with torch.no_grad():
        view = base[:2]
    base.mul_(2)
    with pytest.raises(RuntimeError, match="its base or another view of its base has been modified inplace"):
        view.grad_fn


def test_integers_seen_in_its_memory_are_outside():
    _, view = unrecorded(lambda x: x.view(torch.int32))
    assert not (view + 1).requires_grad


def test_a_base_that_is_detached_in_place_takes_its_unrecorded_views_along():
    base = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        view = base[1:]
    assert view.requires_grad
    base.detach_()
    assert not view.requires_grad
