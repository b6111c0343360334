"""The graph as users see it: edges, versions, hooks and their order."""

import pytest

import wengert as torch
from wengert.autograd import graph


def leaf(*values):
    return torch.tensor(values, requires_grad=True)


def test_a_gradient_edge_stands_for_its_tensor():
    x = leaf(1.0, 2.0)
    y = x * x
    edge = graph.get_gradient_edge(y)
    assert (edge.node, edge.output_nr, edge.ownership_token) == (y.grad_fn, 0, None)
    z = (y * 3).sum()
    assert torch.autograd.grad(z, edge, retain_graph=True)[0].tolist() == [3.0, 3.0]
    assert torch.autograd.grad(edge, x, grad_outputs=torch.ones(2))[0].tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(torch.ones(1))


def test_edges_of_several_outputs_are_told_apart():
    a, b = leaf(1.0, 2.0).unbind(0)
    edge = graph.get_gradient_edge(b)
    assert edge.output_nr == 1
    first = graph.GradientEdge(edge.node, 0)
    found = torch.autograd.grad(a * b, [first, edge])
    assert [g.item() for g in found] == [2.0, 1.0]


def test_increment_version_makes_backward_refuse():
    x = leaf(1.0).clone()
    y = x * x
    graph.increment_version(x)
    with pytest.raises(RuntimeError, match="is at version 1; expected version 0"):
        y.backward()


def test_the_operation_that_made_the_value_is_named():
    y = leaf(1.0).exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="which is output 0 of Exp, is at version 1"):
        y.backward()


def test_hooks_run_in_order_and_may_replace_gradients():
    x, log = leaf(1.0), []
    y = x * 2
    y.register_hook(lambda g: log.append(("first", g.item())))
    y.retain_grad()
    y.register_hook(lambda g: log.append(("second", g.item())) or g * 2)
    y.grad_fn.register_prehook(lambda gs: log.append(("pre", gs[0].item())) or (gs[0] * 3,))
    y.grad_fn.register_hook(lambda inputs, outputs: log.append(("post", inputs[0].item(), outputs[0].item())))
    x.register_hook(lambda g: log.append(("leaf", g.item())))
    x.register_post_accumulate_grad_hook(lambda p: log.append(("accumulated", p is x, p.grad.item())))
    y.sum().backward()
    assert log == [
        ("first", 1.0), ("second", 1.0), ("pre", 2.0), ("post", 12.0, 6.0), ("leaf", 12.0), ("accumulated", True, 12.0),
    ]  # fmt: skip
    assert y.grad.item() == 2.0  # after the tensor's hooks, before the node's


def test_a_gradient_that_is_only_asked_for_runs_the_hooks_of_the_tensor_alone():
    x, log = leaf(1.0), []
    y = x * 2
    y.register_hook(lambda g: log.append("tensor") or g * 10)
    y.grad_fn.register_prehook(lambda gs: log.append("node"))
    x.register_post_accumulate_grad_hook(lambda p: log.append("accumulated"))
    assert torch.autograd.grad(y, y, retain_graph=True)[0].item() == 10.0
    assert log == ["tensor"]
    log.clear()
    torch.autograd.grad(y, x)
    assert log == ["tensor", "node"]


def test_hooks_stay_with_the_value_they_were_registered_on():
    x, log = leaf(1.0), []
    y = x * 2
    y.register_hook(lambda g: log.append(("before", g.item())))
    y.mul_(3)
    y.register_hook(lambda g: log.append(("after", g.item())))
    y.backward()
    assert log == [("after", 1.0), ("before", 3.0)]


def test_a_hook_removed_by_another_still_runs_in_this_pass():
    x, log = leaf(1.0), []
    y = x * 2
    handles = [
        y.register_hook(lambda g: log.append("a") or handles[1].remove()),
        y.register_hook(lambda g: log.append("b")),
    ]
    y.backward(retain_graph=True)
    y.backward()
    assert log == ["a", "b", "a"]


@pytest.mark.parametrize(
    "result, error, message",
    [
        (lambda g: g[:1], RuntimeError, "has changed the size of value"),
        (lambda g: g.double(), RuntimeError, "has changed the type of value"),
        (lambda g: 3, TypeError, "expected Variable, but hook returned 'int'"),
    ],
)
def test_what_a_hook_returns_is_checked(result, error, message):
    y = leaf(1.0, 2.0) * 2
    y.register_hook(result)
    with pytest.raises(error, match=message):
        y.sum().backward()


def test_multi_grad_hooks():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    together, first = [], []
    handle = graph.register_multi_grad_hook(
        (a, b, c), lambda gs: together.append([None if g is None else g.item() for g in gs])
    )
    graph.register_multi_grad_hook((a, b, c), lambda g: first.append(g.item()), mode="any")
    (a * b).backward()
    (a * b * c).backward()
    handle.remove()
    (a * b * c).backward()
    assert together == [[2.0, 1.0, None], [6.0, 3.0, 2.0]]
    assert len(first) == 3
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook((a,), print, mode="some")


def test_numbers_show_as_edges_to_nowhere():
    y = leaf(1.0) * 2
    assert y.grad_fn.next_functions[1] == (None, 0)


def test_hooks_of_one_tensor_see_one_object_until_one_of_them_replaces_it():
    seen = []

    def leave(grad):
        grad.note = "left"
        seen.append(grad)

    def replace(grad):
        seen.append(grad)
        return grad * 2

    x = torch.ones(2, requires_grad=True)
    y = x * 3
    for hook in (leave, replace, seen.append):
        y.register_hook(hook)
    y.sum().backward()
    assert seen[0] is seen[1] and seen[1].note == "left"
    assert seen[2] is not seen[0] and seen[2].tolist() == [2, 2] and x.grad.tolist() == [6, 6]
