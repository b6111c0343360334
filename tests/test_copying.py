"""Pickling and copying: memory, dtype, strides, class and attributes survive; the graph does not."""

import copy
import operator
import pickle

import numpy as np
import pytest

import wengert
from wengert.tensor import Parameter


class Labelled(wengert.Tensor):
    pass


class Weight(Parameter):
    pass


class Counted(wengert.Tensor):
    def __setstate__(self, state):
        self.restored = state


def by_pickle(obj):
    return pickle.loads(pickle.dumps(obj))


BOTH = pytest.mark.parametrize("duplicate", [by_pickle, copy.deepcopy], ids=["pickle", "deepcopy"])
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e5m2", "float8_e4m3fn"]


@BOTH
@pytest.mark.parametrize("name", DTYPES)
def test_values_and_dtype_survive(duplicate, name):
    tensor = wengert.tensor([[0.0, 1.0], [2.0, 3.0]]).to(getattr(wengert, name))
    twin = duplicate(tensor)
    assert twin.dtype is tensor.dtype and twin.tolist() == tensor.tolist()
    assert twin.data_ptr() != tensor.data_ptr()


@BOTH
def test_strides_and_offset_survive_with_the_whole_memory(duplicate):
    tensor = wengert.arange(12.0).reshape(3, 4).t()[1:, ::2]
    twin = duplicate(tensor)
    assert twin.tolist() == tensor.tolist() and twin.stride() == tensor.stride() == (1, 8)
    assert twin.storage_offset() == 1


@BOTH
@pytest.mark.parametrize("shape", [(), (0,), (0, 3)])
def test_scalars_and_empty_tensors_survive(duplicate, shape):
    assert duplicate(wengert.zeros(shape)).shape == shape


@BOTH
def test_an_expanded_tensor_stays_expanded(duplicate):
    twin = duplicate(wengert.ones(1).expand(4))
    assert twin.stride() == (0,) and twin.tolist() == [1, 1, 1, 1]


@BOTH
def test_memory_shared_before_is_shared_after(duplicate):
    tensor = wengert.zeros(2, 3)
    twin, row, column = duplicate([tensor, tensor[1], tensor[:, 0]])
    twin[1, 0] = 7
    assert row.tolist() == [7, 0, 0] and column.tolist() == [0, 7] and tensor[1, 0] == 0


@BOTH
def test_one_tensor_in_two_places_stays_one(duplicate):
    tensor = wengert.ones(2, requires_grad=True)
    first, second = duplicate([tensor, tensor])
    assert first is second and first.requires_grad and first.is_leaf


@BOTH
def test_attributes_and_class_survive(duplicate):
    tensor = wengert.ones(2).as_subclass(Labelled)
    tensor.labels = ["a", "b"]
    twin = duplicate(tensor)
    assert type(twin) is Labelled and twin.labels == ["a", "b"] and twin.labels is not tensor.labels


@BOTH
def test_a_tensor_may_refer_to_itself(duplicate):
    tensor = wengert.ones(2)
    tensor.me = tensor
    twin = duplicate(tensor)
    assert twin.me is twin


@pytest.mark.parametrize("kind", [Parameter, Weight])
def test_parameters_come_back_from_a_pickle_with_their_attributes(kind):
    parameter = kind(wengert.ones(2, 3).t())
    parameter.tag = "w"
    twin = by_pickle(parameter)
    assert type(twin) is kind and twin.tag == "w" and twin.requires_grad and twin.stride() == (1, 3)


@pytest.mark.parametrize("kind", [Parameter, Weight])
def test_deepcopied_parameters_start_without_gradient_and_attributes(kind):
    parameter = kind(wengert.ones(2, 3).t(), requires_grad=True)
    parameter.tag, parameter.grad = "w", wengert.ones(3, 2)
    twin = copy.deepcopy(parameter)
    assert type(twin) is kind and twin.grad is None and not hasattr(twin, "tag") and twin.stride() == (1, 3)


def test_deepcopy_of_a_leaf_copies_its_gradient():
    leaf = wengert.ones(2, requires_grad=True)
    leaf.grad = wengert.full((2,), 3.0)
    twin = copy.deepcopy(leaf)
    assert twin.grad.tolist() == [3, 3] and twin.grad is not leaf.grad and twin.grad.data_ptr() != leaf.grad.data_ptr()
    assert by_pickle(leaf).grad is None


def test_deepcopy_refuses_what_is_inside_the_graph():
    result = wengert.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(result)
    assert copy.deepcopy(result.detach()).tolist() == [2, 2]


def test_a_pickled_result_comes_back_as_a_leaf():
    twin = by_pickle(wengert.ones(2, requires_grad=True) * 2)
    assert twin.is_leaf and twin.requires_grad and twin.grad_fn is None


def test_a_shallow_copy_shares_memory_and_attributes():
    tensor = wengert.ones(2)
    tensor.labels = ["a"]
    twin = copy.copy(tensor)
    assert twin is not tensor and twin.data_ptr() == tensor.data_ptr() and twin.labels is tensor.labels


def test_hooks_stay_behind_with_a_warning():
    leaf = wengert.ones(2, requires_grad=True)
    leaf.register_hook(lambda grad: grad)
    with pytest.warns(UserWarning, match="will not be serialized"):
        twin = by_pickle(leaf)
    assert not twin._backward_hooks


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_works(protocol):
    twin = pickle.loads(pickle.dumps(wengert.arange(3.0), protocol))
    twin += 1
    assert twin.tolist() == [1, 2, 3]


def test_memory_borrowed_from_numpy_is_pickled_without_its_neighbours_order():
    borrowed = wengert.from_numpy(np.arange(10.0)[::2])
    twin = by_pickle(borrowed)
    assert twin.tolist() == [0, 2, 4, 6, 8]


def test_a_subclass_may_restore_its_state_itself():
    tensor = wengert.ones(2).as_subclass(Counted)
    tensor.count = 3
    assert by_pickle(tensor).restored == {"count": 3}


def test_setstate_takes_the_states_of_old_pickles():
    tensor = wengert.ones(2)
    tensor.__setstate__((True, None, {}))
    assert tensor.requires_grad
    tensor = wengert.ones(2)
    tensor.__setstate__((wengert.zeros(3), None, {}, True, None))
    assert tensor.shape == (3,) and tensor.requires_grad
    with pytest.raises(RuntimeError, match="only called on leaf"):
        (tensor * 2).__setstate__((True, None, {}))


def test_dtypes_devices_and_sizes_are_pickled_by_name():
    assert by_pickle(wengert.float32) is wengert.float32
    assert by_pickle(wengert.device("cpu")) == wengert.device("cpu")
    assert by_pickle(wengert.Size([1, 2])) == (1, 2)


@pytest.mark.parametrize("namespace", ["", "nn.functional", "linalg", "fft", "special", "nn.init"])
def test_public_functions_are_pickled_by_name(namespace):
    home = operator.attrgetter(namespace)(wengert) if namespace else wengert
    functions = [getattr(home, name) for name in dir(home) if not name.startswith("_") and name != "logsigmoid"]
    functions = [f for f in functions if type(f) is type(by_pickle)]
    assert len(functions) > 10
    for function in functions:
        assert by_pickle(function) is function


def test_functions_come_back_by_the_name_under_which_they_are_public():
    F = wengert.nn.functional
    for function in (F.logsigmoid, F.softplus, F.relu, F.gelu, wengert.add, wengert.linalg.norm):
        assert by_pickle(function) is function
