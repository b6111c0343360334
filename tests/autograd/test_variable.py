"""The old name of a tensor."""

import pytest

import wengert as torch
from wengert.autograd import Variable


def test_every_tensor_is_a_variable():
    assert isinstance(torch.ones(1), Variable)
    assert not isinstance(1.0, Variable)


def test_a_variable_is_a_tensor_on_the_same_memory_outside_the_graph():
    x = torch.ones(2, requires_grad=True) * 2
    v = Variable(x, requires_grad=True)
    assert type(v) is torch.Tensor
    assert v.is_leaf and v.requires_grad
    assert v.data_ptr() == x.data_ptr()


def test_only_tensors_become_variables():
    with pytest.raises(TypeError, match="Variable data has to be a tensor, but got list"):
        Variable([1.0])
