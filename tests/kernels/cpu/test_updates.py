"""Optimisers' formulas as one loop: the same bits as NumPy's passes, or NumPy's passes."""

import numpy as np
import pytest

import wengert
from wengert import fast
from wengert.kernels import choices
from wengert.kernels.cpu.updates import Updates

OPTIMISERS = [
    ("SGD", {}, True),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, True),
    ("SGD", {"momentum": 0.9, "dampening": 0.1, "maximize": True}, True),
    ("Adam", {}, True),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}, True),
    ("AdamW", {}, True),
    ("RMSprop", {"centered": True, "momentum": 0.9}, True),
    ("Adagrad", {"lr_decay": 0.1}, True),
    ("Adamax", {}, True),
    ("RAdam", {}, True),
    ("Adadelta", {}, True),
    ("NAdam", {}, False),
    ("Rprop", {}, False),
    ("ASGD", {}, False),
]


def trained(name, options, shape=(130, 300)):
    wengert.manual_seed(0)
    parameters = [wengert.randn(shape).requires_grad_() for _ in range(2)]
    optimiser = getattr(wengert.optim, name)(parameters, lr=1e-2, **options)
    for _ in range(8):
        for p in parameters:
            p.grad = wengert.randn(shape)
        optimiser.step()
    states = [state[k] for state in optimiser.state.values() for k in sorted(state)]
    return [t.detach().numpy().copy() for t in (*parameters, *states)]


@pytest.mark.parametrize(("name", "options", "in_one_loop"), OPTIMISERS)
def test_the_same_bits_as_numpy(name, options, in_one_loop, monkeypatch):
    done = []
    run = Updates.run
    monkeypatch.setattr(Updates, "run", lambda self, *a: done.append(run(self, *a)) or done[-1])
    ours = trained(name, options)
    assert any(done) == in_one_loop
    with fast.disabled():
        theirs = trained(name, options)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_numbers_that_change_from_step_to_step_are_not_compiled_in(monkeypatch):
    from wengert.kernels.cpu import updates

    assert choices.state.wanted
    trained("Adam", {}, (131, 300))
    before = len(updates._loops)
    trained("Adam", {}, (131, 301))
    assert len(updates._loops) == before


def test_shared_memory_is_left_to_numpy():
    memory = np.ones(40_000, np.float32)
    assert not Updates().run(1, lambda p, g: np.subtract(p, g, out=p), (memory[:20_000], memory[10_000:30_000]))
    assert (memory == 1).all()


def test_a_formula_that_looks_at_values_is_left_to_numpy():
    p = np.ones(40_000, np.float32)

    def update(p, g):
        if (g > 0).any():
            p -= g

    assert not Updates().run(1, update, (p, p.copy()))
    assert (p == 1).all()
