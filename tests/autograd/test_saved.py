"""What becomes of kept tensors: hooks, packing, mutation."""

import threading

import numpy as np
import pytest

import wengert as torch
from wengert.autograd import graph


def leaf(*values):
    return torch.tensor(values, requires_grad=True)


def test_what_pack_returns_is_kept_and_unpacked_once():
    log = []

    def pack(t):
        log.append(("pack", t.tolist()))
        return t.tolist()

    def unpack(kept):
        log.append(("unpack", kept))
        return torch.tensor(kept)

    x, w = leaf(2.0, 3.0), leaf(5.0, 7.0)
    with graph.saved_tensors_hooks(pack, unpack):
        y = x * w
    y.sum().backward()
    assert sorted(log) == [("pack", [2.0, 3.0]), ("pack", [5.0, 7.0]), ("unpack", [2.0, 3.0]), ("unpack", [5.0, 7.0])]
    assert x.grad.tolist() == [5.0, 7.0]
    assert w.grad.tolist() == [2.0, 3.0]


def test_second_derivatives_through_hooks():
    x = leaf(1.0, 2.0)
    with graph.saved_tensors_hooks(lambda t: t.numpy(force=True).copy(), torch.from_numpy):
        y = x.exp() * x
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    v = np.array([1.0, 2.0])
    np.testing.assert_allclose(h.numpy(), np.exp(v) * (v + 2), rtol=1e-6)


@pytest.mark.parametrize(
    "program",
    ["x[torch.tensor([0, 1])] * x", "torch.cat([x * x, x])", "x.softmax(0) * x", "(x * x).view(2, 1).mul_(x[0])"],
)
def test_hooks_reach_every_kind_of_node(program):
    x = leaf(1.5, -0.5)
    run = lambda: torch.autograd.grad((eval(program, {"torch": torch, "x": x}) * torch.tensor(2.0)).sum(), x)[0]
    expected = run()
    with graph.saved_tensors_hooks(lambda t: t.numpy(force=True).copy(), torch.from_numpy):
        found = run()
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_the_innermost_pair_applies_and_only_in_its_thread():
    log = []
    note = lambda name: graph.saved_tensors_hooks(lambda t: log.append(name) or t, lambda t: t)
    with note("outer"):
        with note("inner"):
            leaf(1.0).sin()
        leaf(1.0).sin()
        thread = threading.Thread(target=lambda: leaf(1.0).sin())
        thread.start()
        thread.join()
    leaf(1.0).sin()
    assert log == ["inner", "outer"]


def test_hooks_are_checked():
    with graph.saved_tensors_hooks(lambda t: 1, lambda t: t):
        y = leaf(1.0).sin()
    with pytest.raises(TypeError, match="expected to be a Tensor but got result of type int"):
        y.backward()
    writes = graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t)
    with writes, pytest.raises(RuntimeError, match="is modifying its input in place"):
        leaf(1.0).clone().sin()


def test_hooks_can_be_forbidden():
    with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        graph.saved_tensors_hooks(lambda t: t, lambda t: t).__enter__()


def test_one_saved_tensor_can_have_hooks_of_its_own():
    x = leaf(2.0)
    y = x * x.clone()
    y.grad_fn._raw_saved_self.register_hooks(lambda t: t * 10, lambda t: t)
    with pytest.raises(RuntimeError, match="already been set"):
        y.grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t)
    y.backward()
    assert x.grad.item() == 2.0 + 20.0


def test_save_on_cpu_gives_the_same_gradients():
    x = leaf(1.0, 2.0)
    for pin in (False, True):
        with graph.save_on_cpu(pin_memory=pin):
            y = (x * x).sum()
        assert torch.autograd.grad(y, x)[0].tolist() == [2.0, 4.0]


def test_mutation_of_saved_tensors_can_be_allowed():
    x = leaf(0.5, 1.0)
    with graph.allow_mutation_on_saved_tensors():
        a = x.clone()
        y = a.sin()
        a.mul_(100)
        y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.5, 1.0]), rtol=1e-6)
    with graph.allow_mutation_on_saved_tensors():
        y = x.clone().sin()
    with pytest.raises(AssertionError, match="outside of the 'allow_mutation_on_saved_tensors' context"):
        y.sum().backward()


def test_saved_results_of_several_outputs_keep_their_place():
    a = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda m: torch.linalg.eigh(m + m.T)[0], (a,))


def test_a_number_is_no_tensor_that_is_packed():
    def refuse(t):
        raise AssertionError

    with graph.saved_tensors_hooks(refuse, refuse):
        x = leaf(1.0, 2.0)
        y = (x * 3).sum()
    y.backward()
    assert x.grad.tolist() == [3, 3]


def test_a_function_may_keep_what_it_computed_under_hooks():
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.exp().detach().requires_grad_())
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = leaf(0.0)
    with graph.saved_tensors_hooks(lambda t: 2 * t, lambda t: t):
        y = Exp.apply(x)
    y.backward()
    assert x.grad.item() == 2.0


def test_whether_hooks_may_be_set_can_be_asked():
    enabled = torch._C._autograd._saved_tensors_hooks_is_enabled
    assert enabled()
    with graph.disable_saved_tensors_hooks("not here"):
        assert not enabled()
    assert enabled()
