"""Classes and modes that take part in how functions run: who is asked, in which order, under which name."""

import inspect

import pytest

import wengert as torch
from wengert import overrides
from wengert.nn import functional as F


class Answer:
    """Answers every function with its own name for it."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func


class Noting(torch.Tensor):
    seen: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen.append(func)
        return super().__torch_function__(func, types, args, kwargs)


@pytest.fixture
def noting():
    Noting.seen.clear()
    return torch.ones(3).as_subclass(Noting)


UNASKED = {  # their first arguments are read before anybody can be asked
    "torch.index_put", "torch.index_put_", "torch.nn.functional.threshold", "torch.nn.functional.threshold_",
    "torch.nn.functional.relu_", "torch.nn.functional.leaky_relu_", "torch.nn.functional.hardtanh_",
    "torch.nn.functional.elu_", "torch.nn.functional.selu_", "torch.nn.functional.celu_",
}  # fmt: skip


def required(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return max(sum(p.kind in kinds and p.default is p.empty for p in parameters), 1)


def test_every_public_function_asks_under_its_own_name():
    asked = 0
    for function in overrides.get_testing_overrides():
        name = overrides.resolve_name(function)
        if name not in UNASKED:
            assert function(*[Answer() for _ in range(required(function))]) is function, name
            asked += 1
    assert asked > 400


@pytest.mark.parametrize(
    ("call", "function"),
    [
        (lambda d: torch.add(d, 1), "add"),
        (lambda d: torch.add(torch.ones(2), d), "add"),
        (lambda d: torch.where(torch.ones(1) > 0, d, d), "where"),
        (lambda d: torch.matmul(torch.ones(2), d), "matmul"),
        (lambda d: torch.sum(input=d), "sum"),
        (lambda d: torch.stack([torch.ones(1), d]), "stack"),
        (lambda d: torch.full_like(d, 3), "full_like"),
        (lambda d: torch.reshape(d, (1,)), "reshape"),
    ],
)
def test_an_argument_in_any_place_is_asked(call, function):
    assert call(Answer()) is getattr(torch, function)


def test_functions_of_networks_are_asked_by_their_public_names():
    d = Answer()
    assert F.softmax(d, dim=1) is F.softmax
    assert F.relu(d) is F.relu
    assert F.mse_loss(d, torch.ones(1)) is F.mse_loss
    assert F.cross_entropy(torch.ones(1, 2), d) is F.cross_entropy


def test_attributes_and_plain_methods_of_a_class_that_overrides(noting):
    assert noting.shape == (3,)
    assert noting.size() == (3,)
    assert len(noting) == 3
    assert Noting.seen == [torch.Tensor.shape.__get__, torch.Tensor.size, torch.Tensor.__len__]


def test_results_are_of_the_class(noting):
    assert type(noting + 1) is type(noting.T) is type(noting.data) is type(noting @ noting) is Noting
    assert type(noting.view(3, 1).max(0).values) is Noting


def test_a_plain_subclass_is_not_slowed_by_forwarding():
    class Plain(torch.Tensor):
        pass

    assert Plain.shape is torch.Tensor.shape


def test_the_reversed_quotient_is_one_function(noting):
    assert (2 / noting).tolist() == [2, 2, 2]
    assert Noting.seen[0].__name__ == "__rdiv__"


def test_as_subclass_asks_nobody():
    class Wrapped(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            plain = [a.as_subclass(torch.Tensor) if isinstance(a, cls) else a for a in args]
            result = func(*plain, **(kwargs or {}))
            return result.as_subclass(cls) if isinstance(result, torch.Tensor) else result

    x = torch.ones(2).as_subclass(Wrapped)
    assert type(x * 2) is Wrapped
    assert type((x * 2).as_subclass(torch.Tensor)) is torch.Tensor


def test_subclasses_are_asked_before_their_bases_and_all_may_decline():
    order = []

    class Base(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            order.append(cls.__name__)
            return NotImplemented

    class Sub(Base):
        pass

    with pytest.raises(TypeError, match="all __torch_function__ handlers returned NotImplemented"):
        torch.add(torch.ones(2).as_subclass(Base), torch.ones(2).as_subclass(Sub))
    assert order == ["Sub", "Base"]


def test_a_mode_sees_the_makers_of_tensors_too():
    class Zeros(overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return (torch.zeros if func is torch.ones else func)(*args, **(kwargs or {}))

    with Zeros():
        made = torch.ones(2)
    assert made.tolist() == [0, 0]
    assert torch.ones(2).tolist() == [1, 1]


def test_the_default_can_be_switched_off(noting):
    with torch._C.DisableTorchFunctionSubclass():
        assert type(noting + 1) is torch.Tensor
    assert Noting.seen == []


def test_a_subclass_whose_override_is_disabled_gives_plain_results():
    class Quiet(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

    assert type(torch.ones(2).as_subclass(Quiet) + 1) is torch.Tensor
