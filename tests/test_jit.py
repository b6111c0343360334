"""torch.jit: programs that ask for compiled code run as the Python that they are."""

import pytest

import wengert as torch
from wengert import jit, nn


def test_scripting_and_tracing_return_what_they_are_given():
    layer = nn.Linear(2, 2)

    def double(x):
        return 2 * x

    assert jit.script(double) is double
    assert jit.script(layer) is layer
    assert jit.trace(layer, torch.ones(1, 2)) is layer
    assert jit.trace_module(layer, {"forward": torch.ones(1, 2)}) is layer
    assert not isinstance(layer, jit.ScriptModule)
    assert not jit.is_scripting()


def test_one_warning_says_that_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(jit, "warned", set())
    with pytest.warns(UserWarning, match=r"torch\.jit\.trace: wengert has no TorchScript") as seen:
        jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
        jit.script(nn.Linear(2, 2))
    assert len(seen) == 1 and seen[0].filename == __file__


@pytest.mark.parametrize("name", ["save", "graph", "code"])
def test_a_module_that_was_to_be_scripted_says_what_it_is_not(name):
    layer = jit.script(nn.Linear(2, 2))
    with pytest.raises(AttributeError, match=rf"no attribute '{name}': torch\.jit\.script returned the module"):
        getattr(layer, name)
    assert not hasattr(layer, name)
    with pytest.raises(AttributeError) as plain:
        getattr(nn.Linear(2, 2), name)
    assert str(plain.value) == f"'Linear' object has no attribute '{name}'"


def test_settings_of_the_executor_can_be_turned():
    assert torch._C._jit_set_profiling_mode(False) is True
    assert torch._C._jit_set_texpr_fuser_enabled(False) is None
    assert torch._C._is_tracing() is False


def test_marks_change_nothing():
    def function(x):
        return x

    for mark in (jit.ignore, jit.ignore(drop=True), jit.unused, jit.export, jit.script_method):
        assert mark(function) is function


def test_a_script_module_is_a_module():
    class Net(jit.ScriptModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        @jit.script_method
        def forward(self, x):
            return self.layer(x)

    assert Net()(torch.ones(4, 3)).shape == (4, 2)
    assert len(list(Net().parameters())) == 2


def test_forked_work_is_done_when_forked():
    assert jit.wait(jit.fork(lambda a, b: a + b, 1, b=2)) == 3


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, int, True),
        ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ({"a": 1}, dict[str, int], True),
        ((1, "a"), tuple[int, str], True),
        ((1,), tuple[int, str], False),
        (None, int | None, True),
        ("a", (int, str), True),
        (1.0, (int, str), False),
    ],
)
def test_isinstance_looks_into_containers(value, kind, expected):
    assert jit.isinstance(value, kind) is expected


@pytest.mark.parametrize("name", ["save", "load", "freeze", "optimize_for_inference"])
def test_what_only_compiled_code_can_do_is_refused_by_name(name):
    with pytest.raises(NotImplementedError, match=rf"torch\.jit\.{name} needs TorchScript"):
        getattr(jit, name)(nn.Linear(1, 1))


def test_onnx_is_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"torch\.onnx\.export"):
        torch.onnx.export(nn.Linear(1, 1), torch.ones(1, 1), "model.onnx")


def test_names_of_compilers_that_libraries_import_are_there_and_refuse():
    from wengert._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex
    from wengert.distributed import nn as collectives
    from wengert.nn.attention.flex_attention import create_block_mask
    from wengert.nn.parallel.scatter_gather import scatter

    with TransformGetItemToIndex():
        assert torch.arange(3)[torch.tensor(1)].item() == 1
    with pytest.raises(NotImplementedError, match=r"flex_attention\.create_block_mask"):
        create_block_mask(None, 1, 1, 4, 4)
    with pytest.raises(NotImplementedError, match=r"scatter_gather\.scatter"):
        scatter(torch.ones(2), [0, 1])
    with pytest.raises(ValueError, match="init_process_group"):
        collectives.all_reduce(torch.ones(2))


def test_overloads_for_the_compiler_are_functions():
    @jit._overload
    def function(x): ...

    assert callable(function)


def test_spread_tensors_are_a_class_without_objects():
    from wengert.distributed.tensor import DTensor

    assert not isinstance(torch.ones(1), DTensor)
    with pytest.raises(NotImplementedError, match=r"distributed\.tensor\.DTensor"):
        DTensor()
