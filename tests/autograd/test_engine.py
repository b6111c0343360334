"""The backward pass: what accumulates where, what is refused, threads, depth, and memory."""

import gc
import threading
import weakref

import numpy as np
import pytest

import wengert as torch
from wengert.kernels import sums


def leaf(*values):
    return torch.tensor(values or (1.0, 2.0, 3.0), requires_grad=True)


def test_leaf_intermediate_and_root():
    x = leaf()
    y = x * 2
    assert (x.is_leaf, x.grad_fn) == (True, None)
    assert (y.is_leaf, y.grad_fn.name()) == (False, "MulBackward0")
    assert y.grad_fn.next_functions[0][0].variable is x


def test_gradients_accumulate_into_the_same_tensor():
    x = leaf()
    x.sum().backward()
    first = x.grad
    (x * 2).sum().backward()
    assert x.grad is first
    assert first.tolist() == [3.0, 3.0, 3.0]


def test_the_given_gradient_is_not_taken_over():
    x, g = leaf(), torch.ones(3)
    (x * 1).backward(g)
    x.grad.add_(1)
    x.backward(g)
    assert g.tolist() == [1.0, 1.0, 1.0]
    assert x.grad.tolist() == [3.0, 3.0, 3.0]


def test_a_freed_graph_is_refused_and_a_retained_one_is_not():
    x = leaf()
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()
    assert x.grad.tolist() == [4.0, 8.0, 12.0]


def test_only_the_inputs_asked_for_accumulate():
    x, w = leaf(), leaf()
    y = x * w
    (y * 2).sum().backward(inputs=[x, y])
    assert w.grad is None
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    assert y.grad.tolist() == [2.0, 2.0, 2.0]


def test_what_is_not_used():
    x, z = leaf(), leaf()
    y = (x * x).sum()
    with pytest.raises(RuntimeError, match="index 1 appears to not have been used"):
        torch.autograd.grad(y, [x, z], retain_graph=True)
    assert torch.autograd.grad(y, [x, z], allow_unused=True, retain_graph=True)[1] is None
    assert torch.autograd.grad(y, [x, z], materialize_grads=True)[1].tolist() == [0.0, 0.0, 0.0]


def test_batches_of_gradients():
    x = leaf()
    (found,) = torch.autograd.grad(x * x, x, torch.eye(3), is_grads_batched=True)
    assert found.tolist() == [[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 6.0]]


def test_create_graph_records_the_pass_and_warns_of_the_cycle():
    x = leaf()
    with pytest.warns(UserWarning, match="will create a reference cycle"):
        (x**3).sum().backward(create_graph=True)
    assert torch.autograd.grad(x.grad.sum(), x)[0].tolist() == [6.0, 12.0, 18.0]
    x.grad = None


@pytest.mark.parametrize(
    "run, message",
    [
        (lambda x: torch.ones(1).backward(), "does not require grad and does not have a grad_fn"),
        (lambda x: (x * x).backward(), "implicitly created only for scalar outputs"),
        (
            lambda x: (x * x).backward(torch.ones(2)),
            r"Mismatch in shape: grad_output\[0\] has a shape of torch.Size\(\[2\]\)",
        ),
        (lambda x: x.sum().backward(inputs=[]), "cannot be empty"),
        (lambda x: (x.sum() * 1j).backward(), "real scalar outputs but got torch.complex64"),
        (lambda x: torch.autograd.backward([x.sum()], [None, None]), "got 1 tensors and 2 gradients"),
        (lambda x: torch.autograd.grad(x.sum(), torch.ones(1)), "does not require grad"),
    ],
)
def test_misuse_is_refused(run, message):
    with pytest.raises(RuntimeError, match=message):
        run(leaf())


def test_what_may_be_assigned_to_grad():
    x = leaf()
    x.grad = torch.ones(3)
    x.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="of size"):
        x.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="with dtype 'double'"):
        x.grad = torch.ones(3).double()
    with pytest.raises(TypeError, match="expected to be a Tensor or None"):
        x.grad = 3


def test_requires_grad_is_a_matter_of_leaves():
    y = leaf() * 2
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables"):
        y.requires_grad_(False)
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables"):
        y.requires_grad = True
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        torch.tensor([1]).requires_grad_()


def test_threads_lose_no_gradient():
    w = torch.zeros(50, requires_grad=True)

    def work():
        for _ in range(100):
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (w.grad == 400).all()


def test_a_chain_of_a_million_nodes():
    x = torch.ones(2, requires_grad=True)
    y = x
    middle = None
    for i in range(1_000_000):
        y = y + 1
        if i == 500_000:
            middle = weakref.ref(y.grad_fn)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    assert middle() is not None
    del y
    assert middle() is None  # at once, and without recursion


def test_graphs_leave_no_cycles_behind():
    x = torch.ones(3, requires_grad=True)

    def work():
        y = x.sin().view(3, 1) * 2
        y[0] = 1
        pieces = y.split(1)
        (torch.cat(pieces).sum() + pieces[0].sum()).backward(retain_graph=True)
        y.register_hook(lambda g: None)
        (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
        g.sum().backward()

    work()
    gc.collect()
    gc.disable()
    try:
        work()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_detached_value_keeps_no_graph():
    y = leaf().exp()
    node = weakref.ref(y.grad_fn)
    logged = [y.detach(), y.sum().item()]
    del y
    assert node() is None
    np.testing.assert_allclose(logged[0].numpy(), np.exp([1, 2, 3]), rtol=1e-6)


def test_the_first_gradient_is_laid_out_like_its_leaf():
    x = torch.ones(2, 3, requires_grad=True)
    x.t().exp().sum().backward()
    assert x.grad.is_contiguous()
    assert x.grad.view(-1).shape == (6,)
    y = torch.ones(3, 2).t().requires_grad_()
    (y * 2).sum().backward()
    assert y.grad.stride() == y.stride() == (1, 2)


@pytest.mark.parametrize("end", [lambda x: x.requires_grad_(False), lambda x: x.detach_()])
def test_a_leaf_that_no_longer_requires_grad_takes_none_from_older_graphs(end):
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    y.sum().backward(retain_graph=True)
    end(x)
    y.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [2, 2, 2]
    x.requires_grad_()
    y.sum().backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_what_is_queued_during_a_pass_is_called_when_that_pass_is_over():
    calls = []
    queue = torch.autograd.Variable._execution_engine.queue_callback

    def first():
        calls.append("first")
        queue(lambda: calls.append("queued by first"))

    x = leaf()
    y = x * 2
    y.register_hook(lambda g: queue(first))
    x.register_hook(lambda g: calls.append("gradient"))
    y.sum().backward()
    assert calls == ["gradient", "first", "queued by first"]
    with pytest.raises(RuntimeError, match="only be installed during backward"):
        queue(first)


def test_a_pass_says_which_nodes_it_will_run():
    x, other = leaf(), leaf()
    y = x * other
    z = y.cos()
    seen = {}

    def ask(g):
        for name, tensor in {"y": y, "z": z}.items():
            seen[name] = torch._C._will_engine_execute_node(tensor.grad_fn)

    y.register_hook(ask)
    torch.autograd.backward(y.sum(), inputs=[x])
    assert seen == {"y": True, "z": False}
    with pytest.raises(RuntimeError, match="during the backward pass"):
        torch._C._will_engine_execute_node(y.grad_fn)


def test_a_gradient_kept_for_inputs_goes_through_the_hooks_of_its_node():
    calls = []
    y = leaf().clone()
    y.grad_fn.register_prehook(lambda gs: calls.append("node"))
    y.register_hook(lambda g: calls.append("tensor"))
    y.sum().backward(inputs=(y,))
    assert calls == ["tensor", "node"]
    assert y.grad.tolist() == [1, 1, 1]


def test_a_node_is_called_with_as_many_gradients_as_it_has_results():
    y = leaf() * 2
    assert y.grad_fn(torch.ones(3))[0].tolist() == [2, 2, 2]
    with pytest.raises(TypeError, match="expected 1 arguments, got 2 instead"):
        y.grad_fn(torch.ones(3), torch.ones(3))


def test_zeros_cannot_be_made_for_an_edge():
    x, y = leaf(), leaf().clone()
    edge = torch.autograd.graph.get_gradient_edge(y)
    with pytest.raises(RuntimeError, match="materialize_grads cannot be used when the given input is a GradientEdge"):
        torch.autograd.grad(x.sum(), (x, edge), allow_unused=True, materialize_grads=True)


def test_a_leaf_that_looks_elsewhere_is_another_place_in_the_graph():
    x = leaf()
    out = x.clone()
    with torch.no_grad():
        x.set_(torch.ones(3))
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        torch.autograd.grad(out.sum(), x)


def test_some_attributes_cannot_be_deleted():
    x = leaf()
    for name in ("data", "requires_grad", "_grad_fn", "_backward_hooks"):
        with pytest.raises(RuntimeError):
            delattr(x, name)
    with pytest.warns(UserWarning, match="volatile was removed"):
        assert x.volatile is False


def test_hooks_of_a_tensor_without_gradient_are_never_called():
    x = torch.ones(2)
    x._backward_hooks = {"hook": lambda g: 1 / 0}
    (x * leaf(1.0)).sum().backward()
    assert list(x._backward_hooks) == ["hook"]


def test_the_variance_and_the_mean_are_two_results_of_one_node():
    x = leaf()
    variance, mean = torch.var_mean(x)
    assert (variance.grad_fn.name(), variance.output_nr, mean.output_nr) == ("VarMeanBackward0", 0, 1)
    assert mean.grad_fn is variance.grad_fn
    (variance + 3 * mean).backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 1, 2])


def test_passes_are_numbered():
    seen = []
    x = leaf().clone()
    x.register_hook(lambda g: seen.append(torch._C._current_graph_task_id()))
    x.sum().backward(retain_graph=True)
    x.sum().backward()
    assert seen[1] == seen[0] + 1
    assert torch._C._current_graph_task_id() == -1


def test_a_hook_on_several_waits_only_for_those_that_are_reached():
    calls = []
    a, b = leaf().mul(2), leaf().mul(2)
    torch.autograd.graph.register_multi_grad_hook((a, b), calls.append)
    b.sum().backward(inputs=(a, b))
    assert len(calls) == 1 and calls[0][0] is None


def test_only_inputs_is_ignored_with_a_warning():
    x, other = leaf(), leaf()
    with pytest.warns(FutureWarning, match="only_inputs argument is deprecated"):
        torch.autograd.grad((x * other).sum(), x, only_inputs=False)
    assert other.grad is None


def test_gradients_are_asked_of_something_and_batched_by_their_first_dimension():
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="cannot be empty"):
        torch.autograd.grad(x.sum(), [])
    with pytest.raises(RuntimeError, match="If `is_grads_batched=True`, we interpret the first dimension"):
        torch.autograd.grad(x * 2, x, torch.ones(2, 2), is_grads_batched=True)
    assert torch.autograd.is_multithreading_enabled()


@pytest.mark.parametrize("see", [lambda x: x.t(), lambda x: x.reshape(-1), lambda x: x[None]])
def test_a_gradient_that_others_hold_through_a_view_is_copied(see):
    held = []
    x = torch.ones(3, 4, requires_grad=True)
    y = see(x) * 1
    y.register_hook(held.append)
    seen = see(x)
    seen.register_hook(held.append)
    given = torch.ones(seen.shape)
    for out, gradient in ((y, torch.ones(y.shape)), (seen, given)):
        x.grad = None
        out.backward(gradient)
        x.grad.mul_(5)
        assert all((g == 1).all() for g in (gradient, *held))


@pytest.mark.parametrize(
    ("view", "whole"),
    [
        (np.ones((3, 4)).T, True),
        (np.ones((3, 4)).reshape(12), True),
        (np.ones((3, 4))[1:], False),
        (np.ones((3, 4))[::-1], False),
        (np.broadcast_to(np.ones(3), (3, 3)), False),
        (np.ones((3, 4)), False),
    ],
)
def test_a_view_of_a_whole_array_may_stand_for_it(view, whole):
    assert sums.is_whole(view) is whole
    holder = view.base
    assert not sums.is_whole(view)
    del holder
