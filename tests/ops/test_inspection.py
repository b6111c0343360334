"""Questions about tensors, Python functions of elements, methods under the names of functions."""

import pytest

import wengert


def test_questions():
    x = wengert.zeros(2, 3)
    assert x.is_same_size(wengert.ones(2, 3)) and not x.is_same_size(wengert.ones(3, 2))
    assert x.dim_order() == (0, 1) and x.t().dim_order() == (1, 0)
    assert wengert.tensor([2]).is_nonzero() and not wengert.tensor(0).is_nonzero()
    assert not x.is_pinned()
    with pytest.raises(RuntimeError, match="accelerator"):
        x.pin_memory()
    with pytest.raises(RuntimeError, match="ambiguous"):
        x.is_nonzero()


def test_python_functions_of_elements():
    x = wengert.tensor([1.0, 2.0])
    version = x._version
    assert x.apply_(lambda v: v + 1).tolist() == [2, 3]
    assert x.map_(wengert.tensor([10.0]), lambda a, b: a * b).tolist() == [20, 30]
    assert x.map2_(x, x, lambda a, b, c: a + b - c).tolist() == [20, 30]
    assert x._version == version + 3
    with pytest.raises(RuntimeError, match="requires grad"):
        x.requires_grad_().apply_(lambda v: v)


def test_a_given_number_of_coordinates():
    x = wengert.tensor([[0, 1], [1, 1]])
    assert wengert.nonzero_static(x, size=2).tolist() == [[0, 1], [1, 0]]
    assert wengert.nonzero_static(x, size=4, fill_value=9).tolist()[3] == [9, 9]


def test_functions_named_as_methods():
    x = wengert.ones(2)
    assert wengert.fill(x, 3).tolist() == [3, 3] and x.tolist() == [1, 1]
    assert wengert.fill_(x, 2) is x and x.tolist() == [2, 2]
    assert wengert.zero_(x).tolist() == [0, 0]
    assert not wengert.detach(x.clone().requires_grad_()).requires_grad
    assert wengert.empty_permuted((2, 3, 4), (0, 2, 1)).stride() == (12, 1, 3)


def test_map_broadcasts_to_the_tensor_alone():
    x = wengert.zeros(2, 3)
    assert x.map_(wengert.tensor([1.0, 2.0, 3.0]), lambda a, b: a + b).tolist() == [[1, 2, 3], [1, 2, 3]]
    with pytest.raises(RuntimeError, match="The expanded size of the tensor"):
        wengert.zeros(1).map_(wengert.ones(2), lambda a, b: a)


def test_every_operation_says_how_it_is_called():
    for function in (wengert.add, wengert.Tensor.add, wengert.exp, wengert.Tensor.exp_):
        assert function.__doc__
