"""What is not here says so by name, says why, and is not there for those who ask."""

import importlib

import pytest

import wengert as torch
from wengert import outside

LISTED = [(place, name) for absence in outside.ABSENT for place in absence.names for name in outside.names(place)]


def holder(place):
    if place == "Tensor":
        return torch.ones(2)
    return torch if place == "torch" else importlib.import_module(f"wengert.{place}")


@pytest.mark.parametrize(("place", "name"), sorted({*LISTED}))
def test_every_listed_name_is_refused_with_its_reason(place, name):
    if name == "*":
        name = "AnythingElse"
    assert not hasattr(holder(place), name)
    assert getattr(holder(place), name, 1) == 1
    with pytest.raises(NotImplementedError, match=rf"has no attribute '{name}': wengert has no "):
        getattr(holder(place), name)


def test_a_method_is_refused_on_the_class_too():
    with pytest.raises(AttributeError, match="type object 'Tensor' has no attribute 'dequantize': wengert has no quan"):
        torch.Tensor.dequantize


def test_a_name_that_pytorch_does_not_have_either_is_a_plain_attribute_error():
    for module in (torch, torch.nn, torch.masked, torch.cuda, torch.utils.data):
        with pytest.raises(AttributeError) as caught:
            module.no_such_name
        assert type(caught.value) is AttributeError
        assert str(caught.value) == f"module '{module.__name__}' has no attribute 'no_such_name'"


def test_a_subclass_may_have_what_tensor_has_not():
    class Quantised(torch.Tensor):
        def dequantize(self):
            return self * 2

    assert torch.ones(2).as_subclass(Quantised).dequantize().tolist() == [2, 2]
