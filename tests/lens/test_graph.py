"""The graph as data, and its exports as text."""

import html
import json
import re

import pytest

import wengert as torch
from wengert import lens, nn
from wengert.lens.picture.folding import CROWD, folded
from wengert.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16))
        self.head = nn.Linear(16, 4)

    def forward(self, x, cut=False):
        h = self.encoder(x)
        if cut:
            h = h.detach()
        return self.head(h)


def loss_of(net, **options):
    return F.mse_loss(net(torch.ones(3, 8), **options), torch.zeros(3, 4))


def chain(length):
    h = torch.ones(3, requires_grad=True)
    for _ in range(length):
        h = h * 1.0
    return h.sum()


def named(graph, title):
    (found,) = [node for node in graph.nodes if node.title == title]
    return found


# --- what was computed from what --------------------------------------------------------------------------------------


def test_nodes_stand_in_the_order_of_execution_and_edges_point_the_way_the_data_went():
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    y = (x * x).sum()
    graph = lens.graph(y)
    assert [node.name for node in graph.nodes] == ["AccumulateGrad", "MulBackward0", "SumBackward0"]
    assert [node.id for node in graph.nodes] == [0, 1, 2]
    assert [(edge.source, edge.target, edge.input) for edge in graph.edges] == [
        (0, 1, "input"), (0, 1, "other"), (1, 2, "input"),
    ]  # fmt: skip
    assert graph.roots == [2]
    assert [node.shape for node in graph.nodes] == [(2,), (2,), ()]


def test_leaves_and_roots_are_named_after_the_variables_of_the_caller():
    weight = torch.ones(3, requires_grad=True)
    outcome = (weight * 2).sum()
    graph = lens.graph(outcome)
    assert graph.name == "outcome"
    assert [node.title for node in graph.nodes] == ["weight", "Mul", "Sum"]
    assert graph.nodes[-1].root == "outcome"


@pytest.mark.parametrize("params", [lambda net: net, lambda net: dict(net.named_parameters())], ids=["module", "dict"])
def test_params_name_the_leaves(params):
    net = Net()
    graph = lens.graph(loss_of(net), params=params(net))
    titles = {node.title for node in graph.nodes if node.kind == "parameter"}
    assert titles == {name for name, _ in net.named_parameters()}
    assert graph.unreached == []


def test_a_module_among_the_callers_variables_names_its_parameters():
    net = Net()
    loss = loss_of(net)
    assert "encoder.0.weight" in {node.title for node in lens.graph(loss).nodes}


def test_without_a_recording_operations_belong_to_the_module_whose_parameters_they_use():
    net = Net()
    graph = lens.graph(loss_of(net), params=net)
    assert [node.module for node in graph.nodes if node.title == "Addmm"] == ["encoder.0", "encoder.2", "head"]
    assert not graph.recorded
    assert all(node.line is None for node in graph.nodes)


def test_one_of_several_results_is_an_edge_with_its_number():
    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    first, second = torch.split(x, [1, 2])
    graph = lens.graph((first * 2 + second.sum()).sum())
    split = named(graph, "SplitWithSizes")
    results = sorted((edge.output, edge.shape) for edge in graph.edges if edge.source == split.id)
    assert results == [(0, (1,)), (1, (2,))]


def test_several_roots_share_one_graph():
    x = torch.ones(2, requires_grad=True)
    shared = x.exp()
    a, b = shared.sum(), shared.mean()
    graph = lens.graph(a, b)
    assert [graph.nodes[root].root for root in graph.roots] == ["a", "b"]
    assert len([node for node in graph.nodes if node.title == "Exp"]) == 1


def test_what_has_no_graph_is_refused():
    with pytest.raises(RuntimeError, match="root 0 does not require grad"):
        lens.graph(torch.ones(2))
    with pytest.raises(TypeError, match="root 0 must be a Tensor, not float"):
        lens.graph(1.0)
    with pytest.raises(TypeError, match="at least one root"):
        lens.graph()


def test_a_graph_keeps_nothing_alive():
    import weakref

    x = torch.ones(2, requires_grad=True)
    y = x.exp().sum()
    node = weakref.ref(y.grad_fn.next_functions[0][0])
    graph = lens.graph(y, gradients=True)
    del y
    assert node() is None
    assert len(graph) == 3


# --- formulas and what is kept ----------------------------------------------------------------------------------------


def test_formulas_are_those_of_the_declarations():
    x = torch.ones(2, requires_grad=True)
    graph = lens.graph((x * x).tanh().sum())
    assert graph.formulas["MulBackward0"] == [["input", "g * other"], ["other", "g * input"]]
    ((name, formula),) = graph.formulas["TanhBackward0"]
    assert (name, "out" in formula) == ("input", True)


def test_what_is_kept_has_name_shape_and_bytes_and_counts_once():
    x = torch.ones(100, requires_grad=True)
    y = x.exp()
    graph = lens.graph((y * y).sum())
    exp, mul = named(graph, "Exp"), named(graph, "Mul")
    (kept,) = exp.saved
    assert (kept.name, kept.shape, kept.dtype, kept.nbytes) == ("result", (100,), "float32", 400)
    assert (mul.saved_bytes, mul.shared_bytes) == (800, 800)  # the exponential keeps it first
    assert sum(node.saved_bytes - node.shared_bytes for node in graph.nodes) == graph.saved_bytes
    assert graph.saved_bytes == 400  # one piece of memory, kept three times


def test_a_freed_graph_says_so():
    x = torch.ones(2, requires_grad=True)
    y = x.exp().sum()
    y.backward()
    graph = lens.graph(y)
    assert named(graph, "Exp").saved is None
    assert graph.to_dict()["nodes"][1]["freed"] is True


def test_what_a_users_function_keeps_is_shown():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = torch.ones(2, requires_grad=True)
    node = named(lens.graph(Double.apply(x).sum()), "Double")
    assert [kept.name for kept in node.saved] == ["saved_tensors[0]"]


# --- gradients --------------------------------------------------------------------------------------------------------


def test_gradients_come_from_a_pass_that_accumulates_nothing_and_keeps_the_graph():
    x = torch.tensor([1.0, 0.0], requires_grad=True)
    y = (x * x).sum()
    graph = lens.graph(y, gradients=True)
    assert x.grad is None
    assert named(graph, "x").gradient["values"] == [2.0, 0.0]
    assert named(graph, "x").gradient["zeros"] == 1
    assert named(graph, "Mul").gradient["values"] == [1.0, 1.0]
    y.backward()
    assert x.grad.tolist() == [2.0, 0.0]


def test_the_programs_own_backward_can_be_watched():
    x = torch.tensor([3.0], requires_grad=True)
    y = (x * x).sum()
    graph = lens.graph(y)
    with graph.gradients_of_backward():
        y.backward()
    assert named(graph, "x").gradient["values"] == [6.0]
    assert named(graph, "Mul").gradient["values"] == [1.0]


def test_a_gradient_that_is_not_finite_is_counted():
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    graph = lens.graph(x.sqrt().sum(), gradients=True)
    assert named(graph, "x").gradient["nonfinite"] == 1


# --- what a recording adds --------------------------------------------------------------------------------------------


def test_a_recording_gives_lines_modules_and_dtypes():
    with lens.record():
        net = Net()
        graph = lens.graph(loss_of(net), params=net)
    tanh = named(graph, "Tanh")
    assert tanh.line.text == "h = self.encoder(x)"
    assert tanh.line.function == "forward"
    assert (tanh.module, tanh.dtype) == ("encoder.1", "float32")
    assert graph.classes["encoder.1"] == "Tanh"
    assert graph.recorded


def test_a_cut_is_an_edge_from_what_was_left_behind_to_what_went_on():
    with lens.record():
        net = Net()
        graph = lens.graph(loss_of(net, cut=True), params=net)
    (cut,) = graph.cuts
    assert cut.kind == "detach()"
    assert cut.line.text == "h = h.detach()"
    assert graph.nodes[cut.target].module == "head"
    assert not graph.nodes[cut.source].reached
    assert set(graph.unreached) == {f"encoder.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}


def test_what_is_gone_behind_a_cut_is_still_shown_as_far_as_the_recording_remembers():
    with lens.record():
        net = Net()
        graph = lens.graph(loss_of(net, cut=True), params=net)
    gone = [node for node in graph.nodes if node.kind == "gone"]
    assert [node.title for node in gone] == ["Addmm", "Tanh", "Addmm"]
    (weight,) = [node for node in graph.nodes if node.title == "encoder.0.weight"]
    assert weight.reached is False
    assert (weight.id, gone[0].id) in {(edge.source, edge.target) for edge in graph.edges}


def test_a_cut_value_is_followed_through_operations_that_no_graph_holds():
    with lens.record():
        x = torch.ones(2, requires_grad=True)
        w = torch.ones(2, requires_grad=True)
        left = (x * 2).detach() + 1
        graph = lens.graph((left.exp() * w).sum())
    (cut,) = graph.cuts
    assert (graph.nodes[cut.source].title, graph.nodes[cut.target].title) == ("Mul", "Mul")


@pytest.mark.parametrize(
    "through, kind",
    [
        (lambda y: y.argmax(), "argmax has no derivative"),
        (lambda y: y.argmax().float(), "argmax has no derivative"),
        (lambda y: y.long(), "integer cast"),
        (lambda y: y.data, ".data"),
        (lambda y: y.detach(), "detach()"),
    ],
    ids=["argmax", "argmax, made float", "integers", "data", "detach"],
)
def test_every_kind_of_cut_is_named(through, kind):
    with lens.record():
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        w = torch.tensor([3.0, 4.0], requires_grad=True)
        graph = lens.graph((w * through(x * 2)).sum())
    assert [cut.kind for cut in graph.cuts] == [kind]


def test_no_grad_is_a_cut():
    with lens.record():
        x = torch.ones(2, requires_grad=True)
        y = x * 2
        with torch.no_grad():
            z = y * 3
        graph = lens.graph((x * z).sum())
    assert [cut.kind for cut in graph.cuts] == ["no_grad()"]


def test_a_condition_is_no_cut():
    with lens.record():
        x = torch.ones(2, requires_grad=True)
        graph = lens.graph(torch.where(x > 0, x, -x).sum())
    assert graph.cuts == []


# --- folding ----------------------------------------------------------------------------------------------------------


def test_modules_are_groups_and_a_module_of_one_operation_is_none():
    net = Net()
    with lens.record():
        graph = lens.graph(loss_of(net), params=net)
    assert [(group.kind, group.name, group.detail) for group in graph.groups] == [("module", "encoder", "Sequential")]
    assert named(graph, "Tanh").group == 0
    assert named(graph, "MseLoss").group is None


def test_a_chain_folds_into_one_box_and_no_box_is_crowded():
    graph = lens.graph(chain(5000))
    shown, edges, _ = folded(graph)
    assert len(shown) == 3
    assert sum(edges.values()) == 2
    assert graph.groups[0].name == "5,000 × Mul"
    assert max(len(group.children) for group in graph.groups) <= CROWD
    assert min(len(group.children) for group in graph.groups) > 1
    assert len(graph.top) <= CROWD


def test_the_steps_of_a_recurrent_network_are_groups():
    cell = nn.RNNCell(4, 8)
    h = torch.zeros(2, 8)
    for _ in range(30):
        h = cell(torch.ones(2, 4), h)
    graph = lens.graph(h.sum(), params=cell)
    (repeat,) = [group for group in graph.groups if group.kind == "repeat"]
    steps = [group for group in graph.groups if group.parent == repeat.id]
    assert len(steps) >= 28
    assert len({group.size for group in steps}) == 1


def test_everything_lies_in_exactly_one_place_and_folding_loses_nothing():
    torch.manual_seed(0)
    h = torch.ones(3, requires_grad=True)
    for i in torch.randint(0, 4, (700,)).tolist():
        h = (torch.sin, torch.cos, torch.tanh, lambda t: t * 2 + t)[i](h)
    graph = lens.graph(h.sum())
    for opened in (None, set(), {group.id for group in graph.groups}):
        shown, edges, place = folded(graph, opened)
        assert set(place) == set(shown)
        assert all(source in shown and target in shown for source, target in edges)
    assert len(shown) == len(graph.nodes)  # everything unfolded
    assert sum(edges.values()) == len(graph.edges)


# --- exports ----------------------------------------------------------------------------------------------------------

HOSTILE = "</script><script>alert(1)</script>\"'\\n|{}[]`;--><!-- ]]>"


def hostile_graph():
    x = torch.ones(2, requires_grad=True)
    y = torch.ones(2, requires_grad=True)
    return lens.graph((x * y).sum(), params={HOSTILE: x, "名前": y})


def test_json_says_everything_and_can_be_read_back():
    graph = hostile_graph()
    read = json.loads(graph.to_json())
    assert read == json.loads(json.dumps(graph.to_dict()))
    assert [node["title"] for node in read["nodes"][:2]] == [HOSTILE, "名前"]
    assert {"format", "roots", "nodes", "edges", "cuts", "groups", "formulas"} <= read.keys()


def test_a_hostile_name_harms_no_page():
    graph = hostile_graph()
    page = graph.to_html()
    assert "alert(1)</script>" not in page
    assert page.count("<script") == hostile_free(page)
    data = re.search(r'<script type="application/json" id="graph">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(data)["nodes"][0]["title"] == HOSTILE


def hostile_free(page):
    """How many script elements a page of a harmless graph has."""
    x = torch.ones(2, requires_grad=True)
    return lens.graph(x.sum()).to_html().count("<script")


def test_a_hostile_name_stays_inside_its_string_in_dot():
    dot = hostile_graph().to_dot()
    (line,) = [line for line in dot.splitlines() if "alert" in line]
    label = re.search(r'\[label=("(?:[^"\\]|\\.)*"),', line)[1]
    assert label.startswith('"</script><script>')
    unescaped = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), label[1:-1])
    assert unescaped.startswith(HOSTILE + "\n")
    assert line.count("\n") == 0


def test_a_hostile_name_stays_inside_its_string_in_mermaid():
    text = hostile_graph().to_mermaid()
    (line,) = [line for line in text.splitlines() if "alert" in line]
    inside = re.fullmatch(r'  n\d+\("([^"]*)"\)', line)[1]
    first = inside.split("<br/>")[0]
    assert not set(first) & set("<>{}[]`|\\'")
    assert re.sub(r"#(\d+);", lambda m: chr(int(m[1])), first) == HOSTILE


def test_dot_and_mermaid_draw_cuts_dashed_and_red():
    with lens.record():
        net = Net()
        graph = lens.graph(loss_of(net, cut=True), params=net)
    (line,) = [line for line in graph.to_dot().splitlines() if "style=dashed" in line]
    assert "detach()" in line
    assert "#c8102e" in line
    assert re.search(r"-\. \"#9986; detach\(\) test_graph.py:\d+\" \.->", graph.to_mermaid())


def test_the_tree_starts_at_the_root_and_names_cuts_and_what_is_not_reached():
    with lens.record():
        net = Net()
        loss = loss_of(net, cut=True)
        text = lens.graph(loss, params=net).tree(width=100)
    lines = text.splitlines()
    assert lines[0] == "graph of loss: 2 operations, 6 leaves, 288 B kept for backward, 1 cut"
    assert lines[1].startswith("MseLoss")
    assert any("✂ detach() at test_graph.py:" in line for line in lines)
    assert lines[-1].startswith("not reached: encoder.0.weight, ")
    assert max(map(len, lines[:-1])) <= 100


def test_the_tree_is_as_shallow_as_a_chain_is_simple():
    assert len(lens.graph(chain(5000)).tree().splitlines()) == 4


def test_rich_prints_the_tree():
    rich = pytest.importorskip("rich", reason="rich, an optional library, is not installed")
    from rich.console import Console

    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(lens.graph(chain(3)))
    assert "Mul" in console.export_text()
    assert rich is not None


@pytest.mark.parametrize("ending", ["html", "json", "dot", "gv", "mmd", "mermaid", "txt"])
def test_save_writes_what_the_ending_says(tmp_path, ending):
    graph = lens.graph(chain(3))
    path = tmp_path / f"graph.{ending}"
    assert graph.save(path) == path
    text = path.read_text(encoding="utf-8")
    starts = {"html": "<!doctype html>", "json": "{", "dot": "digraph", "gv": "digraph", "txt": "graph of"}
    assert text.startswith(starts.get(ending, "flowchart"))


def test_save_refuses_an_ending_that_it_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="endings: html, svg, png"):
        lens.graph(chain(1)).save(tmp_path / "graph.bmp")


def test_a_notebook_shows_the_page_in_a_frame():
    shown = lens.graph(chain(3))._repr_html_()
    assert shown.startswith("<iframe ")
    inner = html.unescape(re.search(r'srcdoc="([^"]*)"', shown)[1])
    assert inner.startswith("<!doctype html>")


def test_a_page_needs_nothing_from_elsewhere():
    page = lens.graph(chain(3)).to_html()
    outside = re.sub(r'<script type="text/plain" id="graphviz">.*?</script>', "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)\s*=\s*["\'](?!data:,)', outside)
    assert not re.findall(r"@import|url\(|fetch\(|XMLHttpRequest", outside)


def test_a_hundred_thousand_nodes_are_walked_folded_and_written():
    graph = lens.graph(chain(100_000))
    assert len(graph) == 100_002
    assert len(json.loads(graph.to_json())["nodes"]) == 100_002
    assert graph.to_dot().count(" -> ") == 100_001
    assert graph.to_mermaid().count("-->") == 2


def test_the_graphviz_that_pages_carry_is_the_published_one():
    import gzip
    import hashlib

    from wengert.lens.picture.page import WEB

    inside = gzip.decompress((WEB / "vendor" / "viz-global.js.gz").read_bytes())
    assert hashlib.sha256(inside).hexdigest() in (WEB / "vendor" / "README.md").read_text(encoding="utf-8")


def test_operations_in_the_forward_of_an_outermost_module_are_drawn_inside_of_it():
    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))

        def forward(self, x):
            return torch.tanh(self.body(x))

    generator, critic = Generator(), nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    with lens.record():
        score = critic(generator(torch.ones(3, 2))).sum()
    modules = {node.title: node.module for node in lens.graph(score).nodes}
    assert (modules["Tanh"], modules["Relu"]) == ("generator", "generator.body.1")
    assert (modules["Sigmoid"], modules["Sum"]) == ("critic.1", "")
