"""PyTorch's optimizer database: 100 steps of every optimizer with every set of options end at the same numbers.

The problem is a small two-layer regression in float64. Schedules are compared rate by rate.
"""

import copy
import warnings

import numpy as np
import pytest

from tests.conformance import compare

# Muon rounds to bfloat16 inside: where a sum falls between two of its numbers, the order of summation decides.
TOLERANCE = {"Muon": 1e-3}

STEPS = {"LBFGS": 3}  # of up to 20 iterations each

try:
    from torch.testing._internal.common_optimizers import optim_db

    CASES = [
        pytest.param(info, case, id=f"{info.optim_cls.__name__}-{case.desc.replace(' ', '_')}")
        for info in optim_db
        if info.optim_cls.__name__ != "SparseAdam"
        for case in info.optim_inputs_func("cpu")
    ]
except ImportError:
    CASES = []


def options(case, module):
    """The case's keyword arguments, tensors and all, for one module."""
    kwargs = copy.deepcopy(case.kwargs)
    return {k: module.tensor(v.item()) if compare.is_tensor(v) else v for k, v in kwargs.items()}


def problem(module):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((4, 3), (3, 5), (16, 4), (16, 5))]
    w1, w2, x, y = (module.from_numpy(a.copy()) for a in arrays)
    return [module.nn.Parameter(w1), module.nn.Parameter(w2)], x, y


def trained(module, name, kwargs, steps):
    """(parameters, optimizer) after `steps` steps."""
    params, x, y = problem(module)
    optimizer = getattr(module.optim, name)(params, **kwargs)

    def closure():
        optimizer.zero_grad()
        if name == "LBFGS":  # a convex problem: elsewhere its steps of full length soon depend on the last bit
            loss = ((x @ params[0]) ** 2).mean() + ((params[1] - y[:3]) ** 2).mean()
        else:
            loss = ((module.tanh(x @ params[0]) @ params[1] - y) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return params, optimizer


def plain(state_dict):
    """A state dict with arrays for tensors."""
    if compare.is_tensor(state_dict):
        return compare.to_numpy(state_dict)
    if isinstance(state_dict, dict):
        return {k: plain(v) for k, v in state_dict.items()}
    if isinstance(state_dict, list | tuple):
        return type(state_dict)(plain(v) for v in state_dict)
    return state_dict


@pytest.mark.parametrize(("info", "case"), CASES)
def test_a_hundred_steps(info, case, oracle, subject):
    name = info.optim_cls.__name__
    steps = STEPS.get(name, 100)
    tolerance = TOLERANCE.get(name, 1e-6)
    params, optimizer = trained(subject, name, options(case, subject), steps)
    their_params, their_optimizer = trained(oracle, name, options(case, oracle), steps)
    for mine, theirs in zip(params, their_params, strict=True):
        np.testing.assert_allclose(compare.to_numpy(mine), compare.to_numpy(theirs), rtol=tolerance, atol=tolerance)
    assert repr(optimizer) == repr(their_optimizer)
    ours, other = plain(optimizer.state_dict()), plain(their_optimizer.state_dict())
    assert ours["param_groups"] == other["param_groups"]
    assert set(ours["state"]) == set(other["state"])
    for number, state in other["state"].items():
        assert set(ours["state"][number]) == set(state)
        for key, value in state.items():
            if isinstance(value, np.ndarray) and not (name == "LBFGS" and key == "t"):  # a number may stay a number
                assert ours["state"][number][key].dtype == value.dtype
                np.testing.assert_allclose(ours["state"][number][key], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "NAdam", "ASGD", "Adagrad", "Rprop"])
def test_state_is_taken_over_from_the_other(name, oracle, subject):
    kwargs = {"lr": 0.01, **({"momentum": 0.9} if name == "SGD" else {})}
    _, theirs = trained(oracle, name, kwargs, 7)

    def as_ours(value):
        if compare.is_tensor(value):
            return subject.from_numpy(np.array(compare.to_numpy(value)))
        if isinstance(value, dict):
            return {k: as_ours(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(as_ours(v) for v in value)
        return value

    ends = []
    for module, state in ((subject, as_ours(theirs.state_dict())), (oracle, theirs.state_dict())):
        params, x, y = problem(module)
        optimizer = getattr(module.optim, name)(params, **kwargs)
        optimizer.load_state_dict(state)
        for _ in range(5):
            optimizer.zero_grad()
            ((module.tanh(x @ params[0]) @ params[1] - y) ** 2).mean().backward()
            optimizer.step()
        ends.append([compare.to_numpy(p) for p in params])
    for mine, other in zip(*ends, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9)


SCHEDULES = {
    "LambdaLR": lambda m, o: m.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (e + 1)]),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, lambda e: 0.95),
    "StepLR": lambda m, o: m.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [3, 5, 5, 20]),
    "ConstantLR": lambda m, o: m.ConstantLR(o, 0.3, 4),
    "LinearLR": lambda m, o: m.LinearLR(o, 0.3, 0.8, 7),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, 10, 2.0),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 7, 0.01),
    "CosineAnnealingWarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.01, 0.5, 4, 3),
    "CyclicLR-triangular2": lambda m, o: m.CyclicLR(o, 0.01, [0.5, 0.2], 4, mode="triangular2"),
    "CyclicLR-exp_range": lambda m, o: m.CyclicLR(o, 0.01, 0.5, 4, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, 0.5, 50),
    "OneCycleLR-three_phase": lambda m, o: m.OneCycleLR(
        o, 0.5, epochs=5, steps_per_epoch=10, three_phase=True, anneal_strategy="linear"
    ),
    "SequentialLR": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, 1, 5), m.ExponentialLR(o, 0.9), m.CosineAnnealingLR(o, 5)], [5, 20]
    ),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler([m.ExponentialLR(o, 0.9), m.ConstantLR(o, 0.1, 4)]),
    "ReduceLROnPlateau": lambda m, o: m.ReduceLROnPlateau(o, patience=2, factor=0.5),
    "ReduceLROnPlateau-max": lambda m, o: m.ReduceLROnPlateau(
        o, "max", patience=1, threshold_mode="abs", cooldown=2, min_lr=[0.1, 0.01]
    ),
}


def rates(module, name, optimizer_name):
    """Rates and momenta over 40 epochs, the schedule's state saved and loaded halfway; and the names of that state."""
    params = [module.nn.Parameter(module.zeros(2)) for _ in range(2)]
    options = {"SGD": {"momentum": 0.9}}.get(optimizer_name, {})
    groups = [{"params": [params[0]]}, {"params": [params[1]], "lr": 0.05}]
    optimizer = getattr(module.optim, optimizer_name)(groups, lr=0.5, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedule = SCHEDULES[name](module.optim.lr_scheduler, optimizer)
        trace = []
        for epoch in range(40):
            optimizer.step()
            trace.append(
                [{k: g[k] for k in ("lr", "momentum", "betas") if k in g} for g in optimizer.param_groups]
                + [schedule.get_last_lr()]
            )
            if name.startswith("ReduceLROnPlateau"):
                schedule.step(abs(20 - epoch) % 7)
            else:
                schedule.step()
            if epoch == 20:
                schedule.load_state_dict(copy.deepcopy(schedule.state_dict()))
        return trace, set(schedule.state_dict())


@pytest.mark.parametrize("optimizer_name", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates(name, optimizer_name, oracle, subject):
    assert rates(subject, name, optimizer_name) == rates(oracle, name, optimizer_name)


# Public names of torch.optim that wengert has no use for yet.
ABSENT = {"swap_in_optimizer_params_and_state"}


def test_every_public_name_is_there(oracle, subject):
    assert {n for n in oracle.optim.__all__ if not hasattr(subject.optim, n)} == ABSENT
    assert not [n for n in oracle.optim.lr_scheduler.__all__ if not hasattr(subject.optim.lr_scheduler, n)]
    assert not [n for n in oracle.optim.swa_utils.__all__ if not hasattr(subject.optim.swa_utils, n)]


MISUSES = [
    "optim.SGD([], lr=1)",
    "optim.SGD(p, lr=1)",
    "optim.SGD([p], lr=-1)",
    "optim.SGD([p], lr=1, momentum=-1)",
    "optim.SGD([p], lr=1, nesterov=True)",
    "optim.SGD([3], lr=1)",
    "optim.SGD([{'params': {p}}], lr=1)",
    "optim.SGD([p * 2], lr=1)",
    "optim.SGD([{'params': [p]}, {'params': [p]}], lr=1)",
    "optim.SGD([('a', p), p], lr=1)",
    "optim.SGD([p], lr=1).add_param_group([p])",
    "optim.SGD([p], lr=1).load_state_dict({'state': {}, 'param_groups': []})",
    "optim.SGD([p], lr=1).load_state_dict({'state': {}, 'param_groups': [{'params': [0, 1]}]})",
    "optim.Adam([p], betas=(1.0, 0.9))",
    "optim.Adam([p], betas=(0.9, 2))",
    "optim.Adam([p], eps=-1)",
    "optim.Adam([p], weight_decay=-1)",
    "optim.Adam([p], lr=torch.tensor(0.1), foreach=True)",
    "optim.Adam([p], fused=True, foreach=True)",
    "optim.RMSprop([p], alpha=-1)",
    "optim.Adadelta([p], rho=2)",
    "optim.Adagrad([p], lr_decay=-1)",
    "optim.Adagrad([p], initial_accumulator_value=-1)",
    "optim.NAdam([p], momentum_decay=-1)",
    "optim.Rprop([p], etas=(2, 3))",
    "optim.LBFGS([{'params': [p]}, {'params': [q]}])",
    "optim.Adafactor([p], d=0)",
    "optim.Muon([p[0].detach().requires_grad_()])",
    "optim.lr_scheduler.StepLR(3, 1)",
    "optim.lr_scheduler.StepLR(optim.SGD([p], lr=1), 1, last_epoch=3)",
    "optim.lr_scheduler.OneCycleLR(optim.SGD([p], lr=1, momentum=0.9), 1)",
    "optim.lr_scheduler.ReduceLROnPlateau(optim.SGD([p], lr=1), factor=2)",
    "optim.lr_scheduler.LinearLR(optim.SGD([p], lr=1), start_factor=0)",
    "optim.lr_scheduler.SequentialLR(optim.SGD([p], lr=1), [], [])",
    "optim.swa_utils.get_ema_avg_fn(2)",
]


@pytest.mark.parametrize("source", MISUSES)
def test_misuse_is_refused_in_the_same_words(source, oracle, subject):
    raised = []
    for torch in (subject, oracle):
        names = {"torch": torch, "optim": torch.optim}
        names |= {n: torch.nn.Parameter(torch.ones(2, 2)) for n in "pq"}
        with pytest.raises(Exception) as caught:  # which one is what is compared
            eval(source, names)
        raised.append((caught.type.__name__, str(caught.value).replace("wengert", "torch")))
    assert raised[0] == raised[1]


DIFFERENTIABLE = {
    "SGD": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9, "nesterov": True}],
    "Adam": [{}, {"maximize": True}], "AdamW": [{}], "NAdam": [{}], "RAdam": [{"weight_decay": 0.1}], "RMSprop": [{}],
    "Adadelta": [{"weight_decay": 0.1}], "Adagrad": [{"lr_decay": 0.1}], "ASGD": [{"weight_decay": 0.1, "t0": 1}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "kwargs"), [(n, k) for n, sets in DIFFERENTIABLE.items() for k in sets], ids=str)
def test_gradients_flow_through_steps(name, kwargs, oracle, subject):
    found = []
    for module in (subject, oracle):
        rng = np.random.default_rng(0)
        start, *grads = (module.from_numpy(rng.standard_normal((4, 3))).requires_grad_() for _ in range(6))
        p = start.clone()
        optimizer = getattr(module.optim, name)([p], differentiable=True, **kwargs)
        for grad in grads:
            p.grad = grad
            optimizer.step()
        (p**3).sum().backward()
        found.append([p, start.grad, *(g.grad for g in grads)])
    for mine, theirs in zip(*found, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_allclose(compare.to_numpy(mine), compare.to_numpy(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [
    ("Adam", {"capturable": True}), ("NAdam", {"capturable": True}), ("Adam", {"differentiable": True}),
    ("Adam", {"differentiable": True, "foreach": True}), ("SGD", {"differentiable": True, "fused": True}),
    ("Adam", {"foreach": True, "fused": True}),
], ids=str)  # fmt: skip
def test_implementations_that_do_not_fit_are_refused(options, oracle, subject):
    name, kwargs = options
    kinds = []
    for module in (oracle, subject):
        p = module.nn.Parameter(module.ones(3))
        p.grad = module.ones(3)
        with pytest.raises((RuntimeError, AssertionError)) as caught:
            getattr(module.optim, name)([p], **kwargs).step()
        kinds.append((caught.type, str(caught.value)[:20]))
    assert kinds[0] == kinds[1]
