"""torch.fx: a program as a graph that can be read, changed, run and written out again."""

import copy
import math
import pickle

import pytest

import wengert as torch
from wengert import fx, nn
from wengert.fx.passes.shape_prop import ShapeProp
from wengert.fx.passes.split_module import split_module
from wengert.fx.proxy import TraceError
from wengert.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(torch.full((4,), 2.0))
        self.register_buffer("shift", torch.ones(4))
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.rest(self.first(x) * self.scale + self.shift).view(x.shape[0], -1)


CODE = """


def forward(self, x):
    first = self.first(x)
    scale = self.scale
    mul = first * scale;  first = scale = None
    shift = self.shift
    add = mul + shift;  mul = shift = None
    rest_0 = getattr(self.rest, "0")(add);  add = None
    rest_1 = getattr(self.rest, "1")(rest_0);  rest_0 = None
    getattr_1 = x.shape;  x = None
    getitem = getattr_1[0];  getattr_1 = None
    view = rest_1.view(getitem, -1);  rest_1 = getitem = None
    return view
    """


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x():
    return torch.arange(6.0).view(2, 3)


def test_a_module_becomes_source_that_computes_the_same(net, x):
    traced = fx.symbolic_trace(net)
    assert traced.code.replace(" ", "") == CODE.replace(" ", "")
    assert torch.equal(traced(x), net(x))
    assert list(traced.state_dict()) == list(net.state_dict())
    assert traced.scale is net.scale
    assert "_code" in vars(traced)


def test_copies_and_pickles_compute_the_same(net, x):
    traced = fx.symbolic_trace(net)
    for other in (copy.deepcopy(traced), pickle.loads(pickle.dumps(traced)), copy.copy(traced)):
        assert other.code == traced.code
        assert torch.equal(other(x), net(x))
    assert copy.deepcopy(traced).scale is not net.scale


def test_gradients_reach_the_parameters(net, x):
    fx.symbolic_trace(net)(x).sum().backward()
    assert net.scale.grad is not None


def test_a_graph_is_changed_by_its_nodes(x):
    traced = fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    for node in traced.graph.find_nodes(op="call_function", target=torch.relu):
        with traced.graph.inserting_after(node):
            node.replace_all_uses_with(traced.graph.call_function(torch.neg, node.args))
        traced.graph.erase_node(node)
    traced.graph.lint()
    traced.recompile()
    assert torch.equal(traced(x), -x + 1)


def test_a_node_in_use_is_not_erased():
    graph = fx.symbolic_trace(lambda x: -x).graph
    with pytest.raises(RuntimeError, match="still had 1 users"):
        graph.erase_node(next(iter(graph.nodes)))


def test_arguments_of_a_node_are_replaced_not_written_into():
    node = fx.symbolic_trace(lambda x: torch.cat([x, x])).graph.find_nodes(op="call_function")[0]
    with pytest.raises(TypeError, match="does not support mutation"):
        node.args[0][0] = None
    with pytest.raises(TypeError, match="does not support mutation"):
        node.kwargs["dim"] = 1
    assert pickle.loads(pickle.dumps(fx.immutable_collections.immutable_list([1]))) == [1]


def test_what_needs_a_value_is_refused():
    for program in (lambda x: x if x.sum() > 0 else -x, lambda x: [y + 1 for y in x], lambda x: not x):
        with pytest.raises(TraceError):
            fx.symbolic_trace(program)
    with pytest.raises(RuntimeError, match=r"torch\.fx\.wrap"):
        fx.symbolic_trace(lambda x: len(x))
    with pytest.raises(NotImplementedError, match="argument of type"):
        fx.symbolic_trace(lambda x: torch.neg(x) + object())


def test_values_are_unpacked_where_their_number_is_known(x):
    def program(x):
        a, b = x.chunk(2)
        return a - b

    assert torch.equal(fx.symbolic_trace(program)(x), program(x))


@fx.wrap
def branching(x):
    return x if x.sum() > 0 else -x


def test_wrapped_functions_and_those_of_math_are_left_whole(x):
    def program(x):
        return branching(x) * math.sqrt(x.shape[0])

    traced = fx.symbolic_trace(program)
    assert "branching(x)" in traced.code
    assert torch.equal(traced(-x), program(-x))
    assert math.sqrt(4) == 2


def test_functions_that_make_tensors_take_proxies():
    traced = fx.symbolic_trace(lambda x: torch.zeros(x.shape[0], 2) + torch.arange(x.size(1)))
    assert traced(torch.ones(3, 2)).shape == (3, 2)


def test_concrete_arguments_decide_branches(x):
    traced = fx.symbolic_trace(lambda x, flag: x if flag else -x, concrete_args={"flag": True})
    assert torch.equal(traced(x, True), x)
    with pytest.raises(AssertionError, match="specialized"):
        traced(x, False)


def test_gathered_arguments(x):
    def program(x, *others, y=3, **named):
        return x + others[0] * y + named["z"]

    assert "def forward(self, x, y = 3, *others, **named)" in fx.symbolic_trace(program).code


def test_a_leaf_is_what_the_tracer_says(net):
    class Through(fx.Tracer):
        def is_leaf_module(self, m, name):
            return isinstance(m, nn.ReLU)

    targets = [n.target for n in Through().trace(net).nodes if n.op == "call_module"]
    assert targets == ["rest.0"]


def test_an_interpreter_runs_node_by_node(net, x):
    traced = fx.symbolic_trace(net)
    assert torch.equal(fx.Interpreter(traced).run(x), net(x))

    class Doubling(fx.Interpreter):
        def call_module(self, target, args, kwargs):
            return super().call_module(target, args, kwargs) * (2 if target == "rest.1" else 1)

    assert torch.equal(Doubling(traced).run(x), net(x) * 2)
    with pytest.raises(RuntimeError, match="Expected positional argument"):
        fx.Interpreter(traced).run()


def test_an_error_says_at_which_node(net):
    with pytest.raises(RuntimeError) as caught:
        fx.Interpreter(fx.symbolic_trace(net)).run(torch.ones(2, 5))
    assert any("While executing %first" in note for note in caught.value.__notes__)


def test_a_transformer_makes_another_graph(x):
    class Negating(fx.Transformer):
        def call_function(self, target, args, kwargs):
            return super().call_function(torch.neg if target is torch.relu else target, args, kwargs)

    changed = Negating(fx.symbolic_trace(lambda x: torch.relu(x))).transform()
    assert torch.equal(changed(x), -x)


def test_patterns_are_replaced():
    def program(a, b, c):
        return torch.add(torch.add(a, b), c)

    traced = fx.symbolic_trace(program)
    matches = fx.replace_pattern(traced, lambda p, q: torch.add(p, q), lambda p, q: torch.mul(p, q))
    assert len(matches) == 2
    assert traced(torch.tensor(2.0), torch.tensor(3.0), torch.tensor(4.0)).item() == 24


def test_dead_code_goes_unless_it_does_something(x):
    traced = fx.symbolic_trace(lambda x: (x + 1, x * 2)[0])
    assert traced.graph.eliminate_dead_code()
    assert len(traced.graph.nodes) == 3
    assert not traced.graph.eliminate_dead_code()


def test_shapes_are_found_by_running(net, x):
    traced = fx.symbolic_trace(net)
    ShapeProp(traced).propagate(x)
    assert traced.graph.output_node().meta["tensor_meta"].shape == (2, 2)


def test_a_graph_is_built_by_hand(x):
    graph = fx.Graph()
    a = fx.Proxy(graph.placeholder("a"))
    graph.output((F.relu(a) @ a.t()).node)
    module = fx.GraphModule(nn.Module(), graph, "Made")
    assert torch.equal(module(x), F.relu(x) @ x.t())
    assert str(graph).splitlines()[1].strip() == "%a : [num_users=2] = placeholder[target=a]"
    assert type(module).__name__ == "Made"


def test_submodules_come_and_go(net):
    traced = fx.symbolic_trace(net)
    assert traced.add_submodule("extra.inner", nn.ReLU())
    assert isinstance(traced.extra.inner, nn.ReLU)
    traced.delete_all_unused_submodules()
    assert not hasattr(traced, "extra")
    assert not traced.delete_submodule("extra.inner")


def test_lint_finds_what_is_out_of_order():
    graph = fx.Graph()
    a = graph.placeholder("a")
    b = graph.call_function(torch.neg, (a,))
    graph.output(b)
    graph.lint()
    b.append(a)
    with pytest.raises(RuntimeError, match="used before it has been defined"):
        graph.lint()


def test_a_module_is_split_into_submodules(net, x):
    traced = fx.symbolic_trace(net)
    parts = {"first": 0, "rest_0": 1}
    names = {}
    split = split_module(traced, net, lambda node: parts.get(node.name, 2 if node.name.startswith("rest") else 0)
                         if node.name != "view" else 2, names)  # fmt: skip
    assert torch.equal(split(x), net(x))
    assert [name for name, _ in split.named_children()] == ["submod_0", "submod_1", "submod_2"]
    assert names["submod_2.rest_1"] == "rest.1"
    with pytest.raises(RuntimeError, match="cycle"):
        split_module(traced, net, lambda node: int(node.name in ("mul", "view")))


def test_members_taken_from_a_dictionary_stand_in_the_order_of_their_calls():
    graph = fx.Graph()
    value = graph.placeholder("x")
    names = [f"layer_{i}" for i in (3, 1, 2, 0)]
    for name in names:
        value = graph.call_module(name, (value,))
    graph.output(value)
    module = fx.GraphModule({name: nn.Identity() for name in sorted(names)}, graph)
    assert [name for name, _ in module.named_children()] == names
