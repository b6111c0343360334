"""Checkpointing gives the same gradients, runs the function again, and notices if it changed."""

import contextlib

import numpy as np
import pytest

import wengert as torch
from wengert.utils import checkpoint as module
from wengert.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

BOTH = pytest.mark.parametrize("use_reentrant", [True, False])


def leaf():
    return torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)


@BOTH
def test_the_function_runs_again_and_gradients_agree(use_reentrant):
    calls = []

    def f(a):
        calls.append(torch.is_grad_enabled())
        return a.sin().exp() * a

    x, y = leaf(), leaf()
    out = checkpoint(f, x, use_reentrant=use_reentrant)
    assert len(calls) == 1
    out.sum().backward()
    assert len(calls) == 2
    assert calls[1]
    f(y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy())


@BOTH
def test_random_numbers_are_drawn_again(use_reentrant):
    def f(a):
        return torch.nn.functional.dropout(a, 0.5) * torch.rand(3, dtype=torch.float64)

    grads, after = [], []
    for run in (lambda a: checkpoint(f, a, use_reentrant=use_reentrant), f):
        torch.manual_seed(1)
        x = leaf()
        run(x).sum().backward()
        grads.append(x.grad.tolist())
        after.append(torch.rand(1).item())
    assert grads[0] == grads[1]
    assert after[0] == after[1]


def test_the_graph_keeps_only_what_the_second_run_needs():
    kept = []
    x = leaf()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        checkpoint(lambda a: a.sin().exp().tanh(), x, use_reentrant=False)
    assert kept == []


def test_the_second_run_stops_early():
    log = []

    def f(a):
        y = a.sin()
        log.append("sin")
        z = y.exp()
        log.append("exp")
        return z + 1

    x = leaf()
    y = checkpoint(f, x, use_reentrant=False)
    log.clear()
    y.sum().backward()
    assert log == ["sin"]
    with module.set_checkpoint_early_stop(False):
        y = checkpoint(f, x, use_reentrant=False)
    log.clear()
    y.sum().backward()
    assert log == ["sin", "exp"]


def test_second_derivatives_and_nesting():
    inner = lambda a: a.sin().exp()
    outer = lambda a: checkpoint(inner, a * 2, use_reentrant=False).cos()
    x, y = leaf(), leaf()
    results = []
    for f, v in ((lambda a: checkpoint(outer, a, use_reentrant=False), x), (lambda a: inner(a * 2).cos(), y)):
        (g,) = torch.autograd.grad(f(v).sum(), v, create_graph=True)
        results.append(torch.autograd.grad(g.sum(), v)[0].numpy())
    np.testing.assert_allclose(results[0], results[1])


def test_a_function_that_changes_is_noticed():
    calls = []

    def f(a):
        calls.append(1)
        return (a if len(calls) == 1 else a[:2]).sin().exp()

    y = checkpoint(f, leaf(), use_reentrant=False)
    with pytest.raises(CheckpointError, match="different metadata"):
        y.sum().backward()


def test_fewer_saved_tensors_are_noticed():
    calls = []

    def f(a):
        calls.append(1)
        return a.sin().exp() if len(calls) == 1 else a.sin()

    y = checkpoint(f, leaf(), use_reentrant=False)
    with pytest.raises(CheckpointError, match="different number of tensors"):
        y.sum().backward()


def test_contexts_surround_both_runs():
    log = []

    @contextlib.contextmanager
    def note(name):
        log.append(name)
        yield

    checkpoint(
        torch.sin, leaf(), use_reentrant=False, context_fn=lambda: (note("first"), note("second"))
    ).sum().backward()
    assert log == ["first", "second"]


@BOTH
def test_a_sequence_in_parts(use_reentrant):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2), torch.nn.Tanh())
    grads = []
    for run in (lambda v: checkpoint_sequential(layers, 2, v, use_reentrant=use_reentrant), layers):
        layers.zero_grad()
        x = torch.ones(1, 3, requires_grad=True)
        run(x).sum().backward()
        grads.append([x.grad.numpy(), *(p.grad.numpy().copy() for p in layers.parameters())])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_misuse_is_refused():
    x = leaf()
    with pytest.raises(RuntimeError, match=r"incompatible with .grad\(\)"):
        torch.autograd.grad(checkpoint(torch.sin, x, use_reentrant=True).sum(), x)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: k"):
        checkpoint(torch.sin, x, use_reentrant=True, k=1)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(torch.sin, x, use_reentrant=True, context_fn=lambda: (1, 2))
    with pytest.raises(NotImplementedError, match="debug=True"):
        checkpoint(torch.sin, x, use_reentrant=False, debug=True)
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint(torch.sin, x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        assert not checkpoint(torch.sin, x.detach(), use_reentrant=True).requires_grad


@pytest.mark.parametrize("early_stop", [True, False])
def test_gradients_are_taken_inside_of_a_checkpoint_and_through_it(early_stop):
    def checkpointed(f):
        return lambda x: checkpoint(f, x, use_reentrant=False)

    def derivative(f):
        def wrapped(x):
            with torch.enable_grad():
                return torch.autograd.grad(f(x), x, create_graph=True)[0]

        return wrapped

    def f(x):
        return x.sin().exp().sin()

    x = torch.tensor(0.3, requires_grad=True)
    with module.set_checkpoint_early_stop(early_stop):
        for plain, tried in [
            (derivative(f), derivative(checkpointed(f))),
            (derivative(derivative(f)), derivative(checkpointed(derivative(f)))),
            (derivative(derivative(f)), checkpointed(derivative(derivative(checkpointed(f))))),
        ]:
            np.testing.assert_allclose(plain(x).item(), tried(x).item(), rtol=1e-6)


def test_more_tensors_saved_in_the_second_run_are_an_error():
    runs = []

    def f(x):
        runs.append(1)
        return x.sin().exp() if len(runs) == 1 else x.sin().exp().sin()

    with module.set_checkpoint_early_stop(False):
        y = checkpoint(f, torch.ones(1, requires_grad=True), use_reentrant=False)
        with pytest.raises(RuntimeError, match="trying to save more tensors during recomputation"):
            y.sum().backward()
