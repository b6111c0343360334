"""Optimizers: their formulas by hand, their groups, their state, and the packing of small parameters."""

import copy
import pickle

import numpy as np
import pytest

import wengert as torch
from wengert import nn, optim


def parameter(value, grad):
    p = nn.Parameter(torch.tensor(value, dtype=torch.float64))
    p.grad = torch.tensor(grad, dtype=torch.float64)
    return p


def test_sgd_with_momentum():
    p = parameter([1.0], [2.0])
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5)
    expected, velocity = 1.0, 0.0
    for i in range(4):
        velocity = 2.0 if i == 0 else 0.5 * velocity + 2.0
        expected -= 0.1 * velocity
        optimizer.step()
        assert p.item() == pytest.approx(expected, rel=1e-14)


def test_adam():
    p = parameter([1.0, -1.0], [0.5, 2.0])
    optimizer = optim.Adam([p], lr=0.1, betas=(0.8, 0.9), eps=1e-3)
    x, g, m, v = np.array([1.0, -1.0]), np.array([0.5, 2.0]), 0, 0
    for t in range(1, 5):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        x = x - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        optimizer.step()
        np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-12)


def test_adamw_shrinks_apart_from_the_gradient():
    p = parameter([2.0], [0.0])
    optim.AdamW([p], lr=0.1, weight_decay=0.5).step()
    assert p.item() == pytest.approx(2.0 * (1 - 0.05))


def test_a_write_by_the_optimizer_is_noticed():
    p = nn.Parameter(torch.ones(2))
    loss = (p * p).sum()
    p.grad = torch.ones(2)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


OPTIMIZERS = {
    "SGD": {"lr": 0.1},
    "SGD-momentum": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Rprop": {},
    "ASGD": {},
    "Adagrad": {"lr_decay": 0.1},
    "Adadelta": {"maximize": True},
}


def run(name, options, steps=6, **more):
    """The parameters after some steps with gradients that depend on them; the second has none in step 2."""
    rng = np.random.default_rng(0)
    params = [nn.Parameter(torch.from_numpy(rng.standard_normal(s))) for s in ((2, 3), (4,), ())]
    optimizer = getattr(optim, name.partition("-")[0])(params, **options, **more)
    for i in range(steps):
        for j, p in enumerate(params):
            p.grad = None if i == 2 and j == 1 else p.detach() * (i + 1) - 0.5
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_packed_or_one_by_one_is_the_same(name):
    packed, _ = run(name, OPTIMIZERS[name])
    single, _ = run(name, OPTIMIZERS[name], foreach=False)
    for a, b in zip(packed, single, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_survives_saving(name):
    params, optimizer = run(name, OPTIMIZERS[name])
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    other = getattr(optim, name.partition("-")[0])(twins, **OPTIMIZERS[name])
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for ps, o in ((params, optimizer), (twins, other)):
        for _ in range(3):
            for p in ps:
                p.grad = p.detach() * 2
            o.step()
    # Loading widens state numbers other than the step count to the parameter's dtype, as in PyTorch.
    for a, b in zip(params, twins, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9)


def test_replaced_state_is_seen():
    p = [parameter([1.0], [1.0]), parameter([2.0], [1.0])]
    optimizer = optim.Adam(p, lr=0.1)
    for _ in range(3):
        optimizer.step()
    optimizer.state[p[0]]["exp_avg"] = torch.zeros(1, dtype=torch.float64)
    before = p[0].item(), p[1].item()
    optimizer.step()
    assert before[1] - p[1].item() == pytest.approx(0.1, rel=1e-6)
    assert before[0] - p[0].item() < 0.05
    optimizer.state.clear()
    optimizer.step()
    assert optimizer.state[p[0]]["step"].item() == 1


def test_changed_parameters_are_seen():
    p = [parameter([1.0], [0.0]), parameter([2.0], [0.0])]
    optimizer = optim.SGD(p, lr=0.1)
    optimizer.step()
    with torch.no_grad():
        p[0].fill_(7.0)
    p[1].data = torch.tensor([9.0], dtype=torch.float64)
    optimizer.step()
    assert [x.item() for x in p] == [7.0, 9.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_follows_single(dtype):
    p, q = nn.Parameter(torch.ones(4, dtype=dtype)), nn.Parameter(torch.ones(4))
    for x in (p, q):
        optimizer = optim.Adam([x], lr=0.1)
        for _ in range(5):
            x.grad = torch.ones_like(x)
            optimizer.step()
    np.testing.assert_allclose(p.detach().float().numpy(), q.detach().numpy(), rtol=2e-2)


def test_complex_parameters_are_pairs_of_reals():
    z = nn.Parameter(torch.tensor([1 + 2j]))
    z.grad = torch.tensor([1 - 1j])
    optim.Adam([z], lr=0.1).step()
    np.testing.assert_allclose(z.detach().numpy(), [0.9 + 2.1j], rtol=1e-5)


def test_strided_parameters_keep_their_layout():
    base = torch.arange(6.0).reshape(2, 3)
    p = nn.Parameter(base.t())
    p.grad = torch.ones(3, 2)
    optim.SGD([p], lr=1.0).step()
    np.testing.assert_array_equal(base.numpy(), np.arange(6.0).reshape(2, 3) - 1)


def test_groups_have_options_of_their_own():
    a, b = parameter([1.0], [1.0]), parameter([1.0], [1.0])
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.1)
    optimizer.step()
    assert (a.item(), b.item()) == (0.5, pytest.approx(0.9))
    c = parameter([1.0], [1.0])
    optimizer.add_param_group({"params": c})
    assert optimizer.param_groups[2]["lr"] == 0.1


def test_named_parameters_keep_their_names():
    layer = nn.Linear(1, 1)
    optimizer = optim.SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_a_closure_gives_the_loss():
    p = nn.Parameter(torch.tensor([3.0]))
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert p.item() == pytest.approx(2.4)


def test_lbfgs_finds_the_minimum_of_a_quadratic():
    p = nn.Parameter(torch.tensor([5.0, -3.0], dtype=torch.float64))
    scale = torch.tensor([1.0, 10.0], dtype=torch.float64)
    optimizer = optim.LBFGS([p], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (scale * (p - 1) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), [1, 1], atol=1e-6)


def test_hooks_run_around_a_step():
    p, log = parameter([1.0], [1.0]), []
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: log.append("before"))
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: log.append(p.item()))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert log == ["before", pytest.approx(0.9), "before"]


def test_own_optimizers_need_only_a_step():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.add_(p.grad.sign(), alpha=-group["lr"])

    p = parameter([1.0], [-5.0])
    optimizer = Sign([p], lr=0.25)
    optimizer.step()
    assert p.item() == 1.25
    optimizer.zero_grad()
    assert p.grad is None


def test_pickling_keeps_state():
    _, optimizer = run("Adam", {})
    twin = pickle.loads(pickle.dumps(optimizer))
    assert repr(twin) == repr(optimizer)
    ours, theirs = optimizer.state_dict()["state"], twin.state_dict()["state"]
    np.testing.assert_array_equal(ours[0]["exp_avg"].numpy(), theirs[0]["exp_avg"].numpy())


def test_a_step_for_a_gpu_graph_needs_a_gpu():
    with pytest.raises(AssertionError, match="must be on supported devices"):
        optim.Adam([parameter([1.0], [1.0])], capturable=True).step()


def test_a_differentiable_step_is_part_of_the_graph():
    start = torch.tensor([1.0, 2.0], requires_grad=True)
    rate = torch.tensor([3.0, 4.0], requires_grad=True)
    p = start.clone()
    p.grad = rate**2
    optim.SGD([p], lr=0.5, differentiable=True).step()
    assert p.tolist() == [-3.5, -6.0]
    p.sum().backward()
    assert start.grad.tolist() == [1.0, 1.0]
    assert rate.grad.tolist() == [-3.0, -4.0]
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        optim.SGD([parameter([1.0], [1.0])], lr=0.5, differentiable=True).step()


def test_an_optimizer_that_never_calls_init_can_step():
    class Wrapping(torch.optim.Optimizer):
        def __init__(self, inner):
            self.inner, self.param_groups, self.steps = inner, inner.param_groups, 0

        def step(self, closure=None):
            self.steps += 1
            return self.inner.step(closure)

    p = torch.nn.Parameter(torch.ones(1))
    p.grad = torch.ones(1)
    wrapping = Wrapping(torch.optim.SGD([p], lr=0.5))
    wrapping.step()
    assert (wrapping.steps, p.item()) == (1, 0.5)


def test_a_class_with_an_init_of_its_own_can_have_its_step_run_hooks():
    class Wrapper(optim.Optimizer):
        def __init__(self, inner):
            self.inner = inner
            self._patch_step_function()

    assert Wrapper(torch.optim.SGD([torch.ones(1)], 0.1)).step.hooked
