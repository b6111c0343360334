"""What a Module keeps, names, saves, loads, and calls."""

import copy
import pickle
import weakref

import numpy as np
import pytest

import wengert as torch
from wengert import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Sequential(nn.ReLU(), nn.Linear(3, 1))
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x):
        return self.second(self.first(x)) * self.scale


def numpy_of(model):
    return {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}


def test_parameters_and_buffers_have_dotted_names():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "scale", "first.weight", "first.bias", "second.1.weight", "second.1.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_buffers()] == ["count", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [n for n, _ in net.named_children()] == ["first", "second"]


def test_a_shared_parameter_is_listed_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4


def test_state_dict_holds_what_persists_and_shares_memory():
    net = Net()
    state = net.state_dict()
    assert "count" in state and "scratch" not in state
    assert not state["scale"].requires_grad
    state["scale"].fill_(5)
    assert net.scale.item() == 5


def test_loading_copies_and_reports():
    a, b = Net(), Net()
    assert str(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    for key, value in numpy_of(a).items():
        np.testing.assert_array_equal(numpy_of(b)[key], value)
    assert b.first.weight.data_ptr() != a.first.weight.data_ptr()


def test_loading_with_assign_takes_the_tensors_over():
    a, b = Net(), Net()
    b.load_state_dict(a.state_dict(), assign=True)
    assert b.first.weight.data_ptr() == a.first.weight.data_ptr()
    assert isinstance(b.first.weight, nn.Parameter)


def test_loading_lists_every_mismatch():
    net = Net()
    state = dict(net.state_dict())
    del state["scale"]
    state["other"] = torch.ones(1)
    state["first.bias"] = torch.ones(4)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Net:\n"
        '\tMissing key(s) in state_dict: "scale". \n'
        '\tUnexpected key(s) in state_dict: "other". \n'
        "\tsize mismatch for first.bias: copying a param with shape torch.Size([4]) from checkpoint, "
        "the shape in current model is torch.Size([3])."
    )
    state["first.bias"] = torch.ones(3)
    assert net.load_state_dict(state, strict=False) == (["scale"], ["other"])


def test_hooks_of_state_dicts_run():
    net, seen = Net(), []
    net.register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append("save"))
    net.register_state_dict_post_hook(lambda module, state, prefix, metadata: state.__delitem__("count"))
    net.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    state = net.state_dict()
    assert seen == ["save"] and "count" not in state
    assert net.load_state_dict(state) == ([], [])


def test_extra_state_travels_along():
    class WithExtra(nn.Module):
        extra = None

        def get_extra_state(self):
            return {"epoch": 3}

        def set_extra_state(self, state):
            self.extra = state

    state = WithExtra().state_dict()
    assert state["_extra_state"] == {"epoch": 3}
    other = WithExtra()
    other.load_state_dict(state)
    assert other.extra == {"epoch": 3}


def test_forward_hooks_see_and_replace():
    layer, log = nn.Linear(2, 2), []
    first = layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    layer.register_forward_hook(lambda module, args, out: log.append(args[0].tolist()))
    layer.register_forward_hook(lambda module, args, out: out * 0, prepend=True)
    assert layer(torch.ones(1, 2)).tolist() == [[0.0, 0.0]]
    assert log == [[[2.0, 2.0]]]
    first.remove()
    layer(torch.ones(1, 2))
    assert log[1] == [[1.0, 1.0]]


def test_hooks_with_kwargs():
    class Add(nn.Module):
        def forward(self, x, y=0):
            return x + y

    module = Add()
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"y": kwargs["y"] + 1}), with_kwargs=True)
    seen = []
    module.register_forward_hook(lambda m, args, kwargs, out: seen.append((args, kwargs, out)), with_kwargs=True)
    assert module(1, y=2) == 4
    assert seen == [((1,), {"y": 3}, 4)]


def test_always_called_hooks_run_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    module, seen = Broken(), []
    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    module.register_forward_hook(lambda m, args, out: seen.append("never"))
    with pytest.raises(ValueError, match="broken"):
        module(1)
    assert seen == [None]


def test_global_hooks_see_every_module():
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__))
    try:
        nn.Sequential(nn.ReLU(), nn.Tanh())(torch.ones(1))
    finally:
        handle.remove()
    assert seen == ["ReLU", "Tanh", "Sequential"]


def test_assignment_files_by_kind():
    net = nn.Module()
    net.p = nn.Parameter(torch.ones(1))
    net.m = nn.ReLU()
    net.b = nn.Buffer(torch.ones(1), persistent=False)
    net.plain = 3
    assert list(net._parameters) == ["p"] and list(net._modules) == ["m"] and list(net._buffers) == ["b"]
    assert "b" not in net.state_dict()
    net.m = None
    assert net.m is None and list(net.children()) == []
    del net.p
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'p'"):
        net.p
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'm'"):
        net.m = 3


def test_assignment_before_init_is_refused():
    class Hasty(nn.Module):
        def __init__(self):
            self.layer = nn.ReLU()

    with pytest.raises(AttributeError, match=r"cannot assign module before Module\.__init__"):
        Hasty()


def test_conversion_keeps_the_parameters_themselves():
    net = Net()
    weight = net.first.weight
    weight.grad = torch.ones(3, 2)
    assert net.double() is net
    assert net.first.weight is weight
    assert weight.dtype == weight.grad.dtype == net.count.dtype == torch.float64
    assert net.to(torch.float32).scale.dtype == torch.float32


def test_modes_and_gradients():
    net = Net()
    assert not any(m.training for m in net.eval().modules())
    net(torch.ones(1, 2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(p.grad.abs().sum().item() == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_apply_goes_from_the_leaves_up():
    order = []
    Net().apply(lambda m: order.append(type(m).__name__))
    assert order == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_submodules_by_path():
    net = Net()
    assert net.get_submodule("second.1") is net.second[1]
    assert net.get_parameter("first.bias") is net.first.bias
    net.set_submodule("second.0", nn.Tanh())
    assert isinstance(net.second[0], nn.Tanh)
    with pytest.raises(AttributeError, match="Net has no attribute `third`"):
        net.get_submodule("third")


def test_repr_shows_the_tree():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (second): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=3, out_features=1, bias=True)\n"
        "  )\n"
        ")"
    )


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_share_nothing(twin):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other = twin(net)
    other[0].weight.data.fill_(7)
    assert not (net[0].weight == 7).any()
    assert isinstance(other[0].weight, nn.Parameter) and other[0].weight.requires_grad


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match='Module \\[Module\\] is missing the required "forward" function'):
        nn.Module()(1)


@pytest.fixture
def setting():
    """Sets one of the settings of torch.__future__ until the test is over."""
    yield lambda name: getattr(torch.__future__, f"set_{name}_module_params_on_conversion")(True)
    for name in ("overwrite", "swap"):
        getattr(torch.__future__, f"set_{name}_module_params_on_conversion")(False)


def test_conversions_may_make_new_parameters(setting):
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.ones(2, 2)
    before = layer.weight
    setting("overwrite")
    layer.double()
    assert before.dtype is torch.float32 and before is not layer.weight
    assert layer.weight.dtype is layer.weight.grad.dtype is torch.float64


def test_conversions_may_let_parameters_change_places(setting):
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.ones(2, 2)
    weight, grad = layer.weight, layer.weight.grad
    setting("swap")
    layer.double()
    assert layer.weight is weight and layer.weight.grad is grad
    assert weight.dtype is grad.dtype is torch.float64 and weight.requires_grad
    layer(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    assert weight.grad.tolist() == [[2, 2], [2, 2]]


def test_a_graph_does_not_survive_that_its_leaves_change_places(setting):
    layer = nn.Linear(2, 2)
    loss = layer(torch.ones(1, 2)).sum()
    setting("swap")
    layer.double()
    with pytest.raises(RuntimeError, match="poisoned by swap_tensors"):
        loss.backward()


def test_loading_may_give_parameters_another_class(setting):
    class Marked(torch.Tensor):
        pass

    layer = nn.Linear(1, 1, bias=False)
    weight = layer.weight
    setting("swap")
    layer.load_state_dict({"weight": torch.ones(1, 1).as_subclass(Marked)}, assign=True)
    assert layer.weight is weight and type(weight) is Marked and weight.tolist() == [[1]]


def test_tensors_change_places():
    a, b = torch.ones(2), nn.Parameter(torch.zeros(3))
    a.label = "a"
    torch.utils.swap_tensors(a, b)
    assert type(a) is nn.Parameter and a.tolist() == [0, 0, 0] and b.label == "a" and b.tolist() == [1, 1]
    a.sum().backward()
    assert a.grad.tolist() == [1, 1, 1]
    held = weakref.WeakValueDictionary(a=a)
    with pytest.raises(RuntimeError, match="Cannot swap t1 because it has weakref"):
        torch.utils.swap_tensors(a, b)
    assert held["a"] is a


def test_what_to_understands():
    parse = torch._C._nn._parse_to
    assert parse("cpu", torch.float64, True) == (torch.device("cpu"), torch.float64, True, None)
    assert parse(torch.float64) == (None, torch.float64, False, None)
    assert parse(torch.ones(1).double())[:2] == (torch.device("cpu"), torch.float64)
    for args in [("cpu", True), (None, True), ([],), ("cpu", torch.ones(1)), (torch.ones(1), torch.float64)]:
        with pytest.raises(TypeError, match=r"to\(\) received an invalid combination of arguments - got \("):
            nn.Linear(1, 1).to(*args)
    with pytest.raises(RuntimeError, match="does not accept copy argument"):
        nn.Linear(1, 1).to("cpu", copy=True)


def test_a_buffer_is_registered_as_the_class_registers_buffers():
    class Old(nn.Module):
        def register_buffer(self, name, value):
            super().register_buffer(name, value * 2)

    module = Old()
    module.b = nn.Buffer(torch.ones(1))
    assert module.b.item() == 2
    module.c = 3
    with pytest.raises(KeyError, match="attribute 'c' already exists"):
        module.c = nn.Buffer(torch.ones(1))


def test_old_backward_hooks_say_what_they_miss():
    class Apply(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.forward = function
            self.register_backward_hook(lambda *_: None)

    x = torch.ones(2, requires_grad=True)
    for function, given, missed in [
        (lambda xs: xs[0].clone(), [x], "does not take as input a single Tensor or a tuple of Tensors"),
        (lambda x: [x.clone()], x, "does not return a single Tensor or a tuple of Tensors"),
        (lambda x: (x.clone(), x.clone()), x, "outputs are generated by different autograd Nodes"),
        (lambda x: x.clone().clone(), x, "the forward contains multiple autograd Nodes"),
    ]:
        with pytest.warns(FutureWarning, match=missed):
            Apply(function)(given)


def test_the_prefix_of_a_wrapper_is_taken_off():
    state = nn.Sequential(nn.Linear(1, 1)).state_dict()
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "0.")
    assert list(state) == ["weight", "bias"] and list(state._metadata) == [""]
    nn.Linear(1, 1).load_state_dict(state)


def test_a_linear_layers_node_shows_its_bias_first():
    """As the first tutorial prints it: a linear layer's first edge is its bias's AccumulateGrad."""
    layer, x = nn.Linear(3, 2), torch.relu(torch.randn(4, 3, requires_grad=True))
    bias, data, weight = (node for node, _ in layer(x).grad_fn.next_functions)
    assert bias.variable is layer.bias
    assert weight.variable is layer.weight
    assert data is x.grad_fn
    plain = nn.Linear(3, 2, bias=False)
    assert plain(x).grad_fn.next_functions[0][0] is x.grad_fn


def test_named_tuples_pass_backward_hooks_as_such():
    from collections import namedtuple

    Pair = namedtuple("Pair", "first second")

    class Doubling(nn.Module):
        def forward(self, pair):
            return Pair(pair * 2, pair)

    module, seen = Doubling(), []
    module.register_full_backward_hook(lambda *_: seen.append(1))
    result = module(torch.ones(2, requires_grad=True))
    result.first.sum().backward()
    assert type(result) is Pair
    assert seen == [1]
