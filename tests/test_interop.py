"""Tensors beside NumPy arrays, buffers and Python numbers: what is shared, what is refused."""

import array
import operator
import warnings

import ml_dtypes
import numpy as np
import pytest

import wengert
from wengert import interop


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch):
    """Each test sees the warnings that a process shows once."""
    monkeypatch.setattr(interop, "_warned", set())


NAMES = ["float64", "float32", "float16", "complex64", "complex128"]
NAMES += ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]


# --- numpy() and np.asarray -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_array_and_its_tensor_are_one_memory_both_ways(name):
    ours = np.zeros((2, 3), name)
    tensor = wengert.from_numpy(ours)
    assert tensor.dtype is getattr(wengert, name)
    tensor[0, 1] = 1
    assert ours[0, 1] == 1
    tensor.numpy()[1, 2] = 1
    assert ours[1, 2] == 1


def test_strides_survive_the_way_in_and_out():
    ours = np.zeros((4, 6))[::2, ::3].T
    tensor = wengert.from_numpy(ours)
    assert tensor.stride() == (3, 12)
    assert tensor.numpy().strides == ours.strides


def test_reshaping_the_array_in_place_leaves_the_tensor_alone():
    tensor = wengert.zeros(2, 3)
    tensor.numpy().shape = (6,)
    assert tensor.shape == (2, 3)


def test_an_array_does_not_leave_a_tensor_that_requires_grad():
    leaf = wengert.ones(2, requires_grad=True)
    for tensor in (leaf, leaf * 2):
        with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
            tensor.numpy()
        with pytest.raises(RuntimeError, match="requires grad"):
            np.asarray(tensor)
    assert np.shares_memory(leaf.detach().numpy(), leaf.numpy(force=True))


def test_numpy_has_no_bfloat16():
    with pytest.raises(TypeError, match="unsupported ScalarType BFloat16"):
        wengert.ones(2, dtype=wengert.bfloat16).numpy()


def test_asarray_shares_and_array_copies():
    tensor = wengert.ones(3)
    assert np.shares_memory(np.asarray(tensor), tensor.numpy())
    assert not np.shares_memory(np.array(tensor), tensor.numpy())
    assert np.asarray(tensor, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.asarray(tensor, dtype="float64", copy=False)


def test_expanded_tensors_give_writable_arrays():
    shared = wengert.ones(1).expand(3).numpy()
    shared[0] = 5
    assert shared.tolist() == [5, 5, 5]


# --- NumPy functions and operators ----------------------------------------------------------------------------------


def test_numpy_functions_of_tensors_give_tensors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sine = np.sin(wengert.ones(3))
        total = np.add(wengert.ones(3), np.arange(3.0))
    assert type(sine) is type(total) is wengert.Tensor
    assert sine.dtype is wengert.float32 and total.dtype is wengert.float64
    assert total.tolist() == [1, 2, 3]


def test_boolean_results_of_numpy_functions_are_bytes():
    assert np.isnan(wengert.ones(2)).dtype is wengert.uint8


def test_numpy_functions_refuse_tensors_that_require_grad():
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sin(wengert.ones(2, requires_grad=True))


def test_a_tensor_times_an_array_is_numpys_and_an_array_times_a_tensor_is_nobodys():
    tensor, ours = wengert.ones(3), np.arange(3.0)
    product = tensor * ours
    assert type(product) is wengert.Tensor and product.dtype is wengert.float64
    with pytest.raises(TypeError, match="unsupported operand"):
        ours * tensor


def test_numpy_scalars_are_numbers():
    leaf = wengert.ones(2, requires_grad=True)
    for product in (np.float64(2) * leaf, leaf * np.float64(2)):
        assert product.requires_grad and product.dtype is wengert.float32
    assert (np.float64(3) - leaf).tolist() == [2, 2]


def test_a_tensor_indexes_an_array():
    ours = np.arange(3.0)
    assert ours[wengert.tensor([0, 2])].tolist() == [0, 2]
    assert ours[wengert.tensor([True, False, True])].tolist() == [0, 2]
    assert ours[wengert.tensor(1)] == 1


# --- from_numpy -----------------------------------------------------------------------------------------------------


def test_a_read_only_array_is_taken_with_one_warning():
    ours = np.zeros(3)
    ours.flags.writeable = False
    with pytest.warns(UserWarning, match="NumPy array is not writable"):
        tensor = wengert.from_numpy(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wengert.from_numpy(ours)
    tensor.add_(1)
    assert tensor.tolist() == [1, 1, 1]


def test_negative_strides_are_refused():
    with pytest.raises(ValueError, match="stride in the given numpy array is negative"):
        wengert.from_numpy(np.arange(3)[::-1])


def test_strides_between_elements_are_refused():
    packed = np.zeros(4, [("a", "i1"), ("b", "f8")])["b"]
    with pytest.raises(ValueError, match="not a multiple of the element byte size"):
        wengert.from_numpy(packed)


@pytest.mark.parametrize("name", ["U3", "S3", "O", "M8[s]", "m8[s]", "V4", "longdouble"])
def test_dtypes_that_tensors_lack_are_refused(name):
    with pytest.raises(TypeError, match=r"can't convert np.ndarray of type numpy\.\w+\. The only supported types"):
        wengert.from_numpy(np.zeros(2, name))


def test_ml_dtypes_arrays_are_refused_too():
    with pytest.raises(TypeError, match=r"type ml_dtypes\.bfloat16"):
        wengert.from_numpy(np.zeros(2, ml_dtypes.bfloat16))


def test_foreign_byte_order_is_refused():
    with pytest.raises(ValueError, match="byte order different"):
        wengert.from_numpy(np.zeros(2, ">f8"))


@pytest.mark.parametrize(("obj", "name"), [([1], "list"), (np.float32(1), "numpy.float32")])
def test_only_arrays_are_accepted(obj, name):
    with pytest.raises(TypeError, match=f"expected np.ndarray .got {name}"):
        wengert.from_numpy(obj)


# --- buffers --------------------------------------------------------------------------------------------------------


def test_a_buffer_is_shared():
    memory = bytearray(8)
    tensor = wengert.frombuffer(memory, dtype=wengert.int32)
    tensor[1] = 1
    assert memory[4] == 1
    assert wengert.frombuffer(array.array("f", [1, 2]), dtype=wengert.float32).tolist() == [1, 2]


def test_count_and_offset_choose_a_part():
    memory = np.arange(4, dtype=np.int32)
    assert wengert.frombuffer(memory, dtype=wengert.int32, offset=4).tolist() == [1, 2, 3]
    assert wengert.frombuffer(memory, dtype=wengert.int32, offset=4, count=2).tolist() == [1, 2]
    assert wengert.frombuffer(memory, dtype=wengert.bfloat16, count=2).shape == (2,)


def test_a_tensor_on_a_buffer_may_be_a_leaf():
    assert wengert.frombuffer(bytearray(4), dtype=wengert.float32, requires_grad=True).requires_grad


def test_a_read_only_buffer_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="buffer is not writable"):
        assert wengert.frombuffer(bytes(4), dtype=wengert.int32).tolist() == [0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"buffer": bytearray(0)}, "both buffer length .0. and count .-1. must not be 0"),
        ({"count": 0}, "both buffer length .8. and count .0. must not be 0"),
        ({"offset": -1}, "offset .-1 bytes. must be non-negative"),
        ({"offset": 8}, "no greater than buffer length .8 bytes. minus 1"),
        ({"count": 3}, "requested buffer length .3 . 4 bytes."),
        ({"offset": 2}, "buffer length .6 bytes. after offset .2 bytes. must be a multiple"),
        ({"buffer": "text"}, "does not implement Python buffer protocol"),
    ],
)
def test_buffers_that_do_not_fit_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        wengert.frombuffer(**{"buffer": bytearray(8), "dtype": wengert.int32, **arguments})


# --- Python numbers -------------------------------------------------------------------------------------------------


def test_one_element_is_a_number():
    assert wengert.tensor([[2.5]]).item() == 2.5
    assert type(wengert.tensor(2).item()) is int and type(wengert.tensor(True).item()) is bool
    assert wengert.tensor(1 + 2j).item() == 1 + 2j
    assert type(wengert.tensor(1.5, dtype=wengert.bfloat16).item()) is float
    assert float(wengert.tensor([2])) == 2.0 and int(wengert.tensor(2.9)) == 2
    assert complex(wengert.tensor(2.0)) == 2 + 0j
    assert operator.index(wengert.tensor([3])) == 3 and [5, 6][wengert.tensor(True)] == 6


def test_item_works_inside_the_graph():
    assert (wengert.ones(1, requires_grad=True) * 3).item() == 3


@pytest.mark.parametrize("count", [0, 2])
def test_several_elements_or_none_are_no_number(count):
    tensor = wengert.zeros(count)
    with pytest.raises(RuntimeError, match=f"a Tensor with {count} elements cannot be converted to Scalar"):
        tensor.item()
    for convert in (float, int, complex):
        with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
            convert(tensor)
    with pytest.raises(TypeError, match="only integer tensors of a single element"):
        operator.index(tensor)
    with pytest.raises(
        RuntimeError, match=r"Boolean value of Tensor with (no values|more than one value) is ambiguous"
    ):
        bool(tensor)


def test_what_a_number_can_not_be_is_refused():
    with pytest.raises(TypeError, match="only integer tensors"):
        operator.index(wengert.tensor(1.0))
    with pytest.raises(RuntimeError, match="cannot be converted to type double without overflow"):
        float(wengert.tensor(1j))
    with pytest.raises(RuntimeError, match="cannot be converted to type int64_t without overflow"):
        int(wengert.tensor(1j))
    with pytest.raises(OverflowError):
        int(wengert.tensor(float("inf")))
    assert float(wengert.tensor(2 + 0j)) == 2.0


def test_float_of_a_recorded_tensor_warns_once():
    leaf = wengert.ones(1, requires_grad=True)
    with pytest.warns(UserWarning, match="to a scalar may lead to unexpected behavior"):
        float(leaf)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        float(leaf)


def test_tolist_nests():
    assert wengert.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert wengert.tensor(2).tolist() == 2
    assert wengert.zeros(2, 0).tolist() == [[], []]
    assert wengert.ones(1, dtype=wengert.bfloat16).tolist() == [1.0]


def test_python_functions_on_each_element():
    x = wengert.tensor([[1.0, 2.0], [3.0, 4.0]])
    before = x._version
    assert x.apply_(lambda v: v * 10) is x
    assert x.map_(wengert.tensor([1.0, 2.0]), lambda a, b: a + b).tolist() == [[11.0, 22.0], [31.0, 42.0]]
    assert x._version == before + 2
    with pytest.raises(RuntimeError, match=r"Can't call apply_\(\) on Variable that requires grad"):
        x.requires_grad_().apply_(abs)
