"""Operations on lists of tensors, and the lists sorted for them."""

import pytest

import wengert as torch
from wengert.utils._foreach_utils import _group_tensors_by_device_and_dtype


def lists():
    return [torch.tensor([1.0, 2.0]), torch.tensor([3.0])], [torch.tensor([10.0, 20.0]), torch.tensor([30.0])]


def test_each_tensor_has_its_own_operand_or_all_have_one():
    a, b = lists()
    assert [t.tolist() for t in torch._foreach_add(a, b, alpha=2)] == [[21, 42], [63]]
    assert [t.tolist() for t in torch._foreach_mul(a, 2)] == [[2, 4], [6]]
    assert [t.tolist() for t in torch._foreach_mul(a, [2, 3])] == [[2, 4], [9]]
    assert [t.tolist() for t in torch._foreach_addcmul(a, a, b, value=0.1)] == [[2, 6], [12]]
    assert [t.tolist() for t in torch._foreach_lerp(a, b, 0.5)] == [[5.5, 11], [16.5]]
    assert [t.item() for t in torch._foreach_norm(a, 1)] == [3, 3]


def test_the_forms_in_place_return_their_list():
    a, b = lists()
    assert torch._foreach_lerp_(a, b, 1.0) is a and [t.tolist() for t in a] == [[10, 20], [30]]
    assert torch._foreach_copy_(a, [t * 0 for t in b]) is a and a[1].tolist() == [0]
    assert torch._foreach_maximum_(a, 2) is a and a[0].tolist() == [2, 2]


def test_lists_of_other_lengths_and_unknown_names_are_refused():
    a, b = lists()
    with pytest.raises(RuntimeError, match="same number of tensors, got 2 and 1"):
        torch._foreach_add(a, b[:1])
    with pytest.raises(RuntimeError, match="at least one tensor"):
        torch._foreach_add([], 1)
    for name in ("_foreach_nothing", "_foreach_norm_", "_foreach_zero"):
        with pytest.raises(AttributeError, match=name):
            getattr(torch, name)


def test_tensors_are_sorted_by_dtype():
    a = [torch.ones(1), torch.ones(2, dtype=torch.float64), torch.ones(3)]
    groups = _group_tensors_by_device_and_dtype([a, [None, "x", "y"]], with_indices=True)
    ((first, second), indices) = groups[torch.device("cpu"), torch.float32]
    assert [len(t) for t in first] == [1, 3] and second == [None, "y"] and indices == [0, 2]
