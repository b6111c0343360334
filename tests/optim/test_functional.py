"""Optimizers as functions take the steps that the classes take."""

import pytest

import wengert as torch
from wengert.optim import _functional

# The class, options, and the states in the order of the function's lists (None: a list without entries).
CASES = {
    "adam": ("Adam", {"weight_decay": 0.1, "amsgrad": True}, ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"]),
    "adamw": ("AdamW", {"maximize": True}, ["exp_avg", "exp_avg_sq", None, "step"]),
    "sgd": ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, ["momentum_buffer"]),
    "adagrad": ("Adagrad", {"lr_decay": 0.1}, ["sum", "step"]),
    "adadelta": ("Adadelta", {"weight_decay": 0.1}, ["square_avg", "acc_delta", "step"]),
    "adamax": ("Adamax", {"weight_decay": 0.1}, ["exp_avg", "exp_inf", "step"]),
    "asgd": ("ASGD", {"t0": 1}, ["ax", "mu", "eta", "step"]),
    "nadam": ("NAdam", {"decoupled_weight_decay": True}, ["exp_avg", "exp_avg_sq", "mu_product", "step"]),
    "radam": ("RAdam", {}, ["exp_avg", "exp_avg_sq", "step"]),
    "rmsprop": ("RMSprop", {"momentum": 0.9}, ["square_avg", None, "momentum_buffer", "step"]),
    "rprop": ("Rprop", {}, ["prev", "step_size", "step"]),
    "adafactor": ("Adafactor", {}, ["row_var", "col_var", "variance", "step"]),
    "muon": ("Muon", {}, ["momentum_buffer"]),
}
TAKEN_APART = {
    "betas": ("beta1", "beta2"), "etas": ("etaminus", "etaplus"), "step_sizes": ("step_size_min", "step_size_max"),
}  # fmt: skip
# Options of a class that its function doesn't have.
NOT_TAKEN = {
    "adagrad": ["initial_accumulator_value"], "rprop": ["lr"], "adamw": ["decoupled_weight_decay"],
    "sgd": ["differentiable"],
}  # fmt: skip


def options_of(group, name):
    """The options of a parameter group as the function takes them."""
    apart = {**TAKEN_APART, **({"eps": ("eps1", "eps2")} if name == "adafactor" else {})}
    options = {}
    for key, value in group.items():
        options.update(dict(zip(apart[key], value)) if key in apart else {key: value})
    return {key: value for key, value in options.items() if key not in ["params", *NOT_TAKEN.get(name, [])]}


def parameters():
    torch.manual_seed(0)
    return [torch.randn(3, 2), torch.randn(2, 4)]


@pytest.mark.parametrize("name", CASES)
def test_three_steps(name):
    kind, options, states = CASES[name]
    expected, params = parameters(), parameters()
    optimizer = getattr(torch.optim, kind)(expected, **options)
    step = getattr(_functional, name)
    arguments = options_of(optimizer.param_groups[0], name)
    arguments |= {"has_complex": False} if name == "muon" else {}
    lists = None
    for _ in range(3):
        grads = [torch.randn_like(p) for p in expected]
        for p, grad in zip(expected, grads):
            p.grad = grad
        if lists is None:  # the states before the first step are those of the class
            starts = [optimizer._new_state(optimizer.param_groups[0], p) for p in expected]
            lists = [[] if s is None else [start.get(s) for start in starts] for s in states]
            if name == "sgd":
                lists = [[None, None]]
        optimizer.step()
        step(params, grads, *lists, **arguments)
        for p, q in zip(params, expected):
            assert torch.equal(p, q)
    if name == "sgd":
        assert torch.equal(lists[0][0], optimizer.state[expected[0]]["momentum_buffer"])


def test_sparse_adam():
    table, twin = torch.nn.Parameter(torch.ones(3, 2)), torch.ones(3, 2)
    optimizer = torch.optim.SparseAdam([table])
    grad = torch.sparse_coo_tensor([[0, 2]], torch.ones(2, 2), (3, 2))
    table.grad = grad
    optimizer.step()
    state = [[torch.zeros(3, 2)], [torch.zeros(3, 2)]]
    _functional.sparse_adam([twin], [grad], *state, [1], eps=1e-8, beta1=0.9, beta2=0.999, lr=1e-3, maximize=False)
    assert torch.equal(twin, table)


def test_arguments_are_those_of_a_function():
    with pytest.raises(TypeError, match=r"adam\(\) missing \d required keyword-only arguments"):
        torch.optim.adam.adam([], [], [], [], [], [])
    with pytest.raises(RuntimeError, match="`state_steps` argument must contain a list of singleton tensors"):
        torch.optim.radam.radam(
            [torch.ones(1)], [torch.ones(1)], [torch.zeros(1)], [torch.zeros(1)], [1],
            beta1=0.9, beta2=0.99, lr=0.1, weight_decay=0, eps=1e-8,
        )  # fmt: skip


def test_what_a_scaler_found():
    p = torch.ones(2)
    options = {"weight_decay": 0, "momentum": 0, "lr": 1.0, "dampening": 0, "nesterov": False, "maximize": False}
    torch.optim.sgd.sgd([p], [torch.ones(2)], [None], found_inf=torch.tensor(1.0), **options)
    assert p.tolist() == [1, 1]
    torch.optim.sgd.sgd([p], [torch.ones(2)], [None], grad_scale=torch.tensor(2.0), **options)
    assert p.tolist() == [0.5, 0.5]
