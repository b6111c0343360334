"""Assertions by PyTorch's own functions: what they raise."""

import pytest

import wengert as torch


def text():
    return "what was wrong"


@pytest.mark.parametrize(
    "check, error",
    [
        ("_check", RuntimeError), ("_check_index", IndexError), ("_check_value", ValueError),
        ("_check_type", TypeError), ("_check_not_implemented", NotImplementedError),
    ],
)  # fmt: skip
def test_each_check_raises_its_error_with_the_text_of_the_function(check, error):
    getattr(torch, check)(True, text)
    with pytest.raises(error, match=r"^what was wrong$"):
        getattr(torch, check)(False, text)
    with pytest.raises(error, match="Expected cond to be True, but got False"):
        getattr(torch, check)(False)


def test_a_condition_is_a_bool_and_a_message_a_function():
    with pytest.raises(TypeError, match="cond must be a bool, but got <class 'int'>"):
        torch._check(1)
    with pytest.raises(TypeError, match="cond must be a bool, but got a Tensor"):
        torch._check(torch.tensor(True))
    with pytest.raises(TypeError, match="message must be a callable"):
        torch._check(False, "text")
    with pytest.raises(KeyError):
        torch._check_with(KeyError, False, text)


def test_sizes_are_not_negative():
    torch._check_is_size(3)
    for arguments in ({"i": -1}, {"i": 3, "max": 2}):
        with pytest.raises(RuntimeError):
            torch._check_is_size(**arguments)


def test_all_elements_of_a_tensor_are_checked():
    torch._check_tensor_all(torch.tensor([True, True]))
    with pytest.raises(RuntimeError, match="what was wrong"):
        torch._check_tensor_all(torch.tensor([True, False]), text)
    with pytest.raises(TypeError, match=r"must have dtype torch\.bool"):
        torch._check_tensor_all(torch.tensor([1]))
    with pytest.raises(TypeError, match="must be a tensor"):
        torch._check_tensor_all(True)


def test_assertions_of_tensors():
    torch._assert(torch.tensor(1), "no")
    with pytest.raises(AssertionError, match="no"):
        torch._assert(torch.tensor(0), "no")
    torch._assert_async(torch.tensor([1]))
    with pytest.raises(RuntimeError, match="Expected Tensor with single nonzero value, but got zero"):
        torch._assert_async(torch.tensor(0))
    with pytest.raises(RuntimeError, match="no"):
        torch._assert_async(torch.tensor(0), "no")
