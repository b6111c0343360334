"""What the tutorial on the dynamic graph and `detach` claims, claim by claim."""

import gc
import resource
import weakref

import numpy as np
import pytest

import wengert as torch
from wengert import nn, optim


def leaf(*values):
    return torch.tensor([float(v) for v in values], requires_grad=True)


# --- the graph --------------------------------------------------------------------------------------------------------


def test_leaf_intermediate_and_root():
    x = leaf(2)
    y = x * 3
    z = y.sum()
    assert x.is_leaf and x.grad_fn is None and x.requires_grad
    assert not y.is_leaf and y.grad_fn.name() == "MulBackward0" and y.requires_grad
    assert z.grad_fn.name() == "SumBackward0"
    assert z.grad_fn.next_functions[0][0] is y.grad_fn
    assert type(y.grad_fn.next_functions[0][0]).__name__ == "AccumulateGrad"
    assert y.grad_fn.next_functions[0][0].variable is x


def test_a_leaf_stays_reachable_through_the_graph():
    y = torch.ones(3, requires_grad=True) * 2
    variable = y.grad_fn.next_functions[0][0].variable
    assert variable.is_leaf and variable.requires_grad and variable.tolist() == [1.0, 1.0, 1.0]


def test_the_graph_is_made_anew_by_each_run():
    x = leaf(1, -2, 3)

    def program(x):
        return x.sum() * 2 if x.sum() > 0 else x.prod()

    program(x).backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    y = leaf(1, -2, -3)
    program(y).backward()
    assert y.grad.tolist() == [6.0, -3.0, -2.0]


def test_backward_follows_the_chain_rule_and_accumulates():
    x = leaf(3)
    (x**2).sin().sum().backward()
    once = 6 * np.cos(9)
    np.testing.assert_allclose(x.grad.item(), once, rtol=1e-6)
    (x**2).sin().sum().backward()
    np.testing.assert_allclose(x.grad.item(), 2 * once, rtol=1e-6)
    x.grad.zero_()
    assert x.grad.item() == 0.0


def test_intermediate_gradients_are_kept_on_request_only():
    x = leaf(2)
    y, z = x * 2, x * 3
    y.retain_grad()
    (y * z).sum().backward()
    assert y.grad.item() == 6.0
    with pytest.warns(UserWarning, match="not a leaf"):
        assert z.grad is None


# --- detach -----------------------------------------------------------------------------------------------------------


def test_detach_shares_memory_both_ways():
    x = leaf(1, 2)
    d = x.detach()
    assert d.data_ptr() == x.data_ptr()
    d[0] = 10
    assert x.tolist() == [10.0, 2.0]
    with torch.no_grad():
        x[1] = 20
    assert d.tolist() == [10.0, 20.0]


def test_detach_leaves_the_graph():
    y = leaf(1) * 2
    d = y.detach()
    assert d.grad_fn is None and not d.requires_grad and d.is_leaf
    later = d * 3
    assert later.grad_fn is None and not later.requires_grad
    assert y.grad_fn is not None  # the original stays where it was


def test_requires_grad_on_a_detached_tensor_starts_a_new_leaf():
    x = leaf(2)
    d = (x * 5).detach().requires_grad_()
    (d**2).sum().backward()
    assert d.grad.item() == 20.0
    assert x.grad is None


def test_backward_from_what_hangs_on_a_detached_value_only():
    x = leaf(1)
    d = (x * 2).detach() * 3
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        d.backward()


def test_cutting_one_branch_leaves_the_other():
    a = leaf(1)
    d = (a * 2).detach() * 3
    e = (a * 2) * 4
    (d + e).sum().backward()
    assert a.grad.item() == 8.0


# --- logging ----------------------------------------------------------------------------------------------------------


def test_a_logged_loss_keeps_its_graph_unless_detached():
    x = leaf(1, 2)
    kept, detached = [], []
    for log, entry in ((kept, lambda loss: loss), (detached, lambda loss: loss.detach())):
        hidden = x * 2
        alive = weakref.ref(hidden.grad_fn)
        loss = (hidden * hidden).sum()
        log.append(entry(loss))
        del hidden, loss
        assert (alive() is not None) == (log is kept)


def test_ten_thousand_logged_losses_take_no_memory_for_graphs():
    x = torch.ones(1000, requires_grad=True)

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    losses = []
    for step in range(10_000):
        if step == 1000:
            gc.collect()
            before = resident()
        losses.append((x * 2).exp().sum().detach())
    # A kept graph would hold two arrays of 4,000 bytes for each of 9,000 steps: 72 MB.
    assert resident() - before < 12e6
    assert len(losses) == 10_000


def test_item_works_inside_the_graph():
    loss = (leaf(1, 2) * 2).sum()
    assert loss.item() == 6.0 and type(loss.item()) is float
    with pytest.raises(RuntimeError, match="cannot be converted to Scalar"):
        leaf(1, 2).item()


# --- actor and critic -------------------------------------------------------------------------------------------------


def gradients(module):
    return [None if p.grad is None else p.grad.abs().sum().item() for p in module.parameters()]


def test_the_cut_between_actor_and_critic_in_both_directions():
    torch.manual_seed(0)
    actor, critic = nn.Linear(4, 2), nn.Linear(4, 1)
    state = torch.randn(8, 4)
    value = critic(state).squeeze(1)
    log_probability = torch.log_softmax(actor(state), 1)[:, 0]
    advantage = torch.ones(8) - value

    (-(log_probability * advantage.detach()).mean()).backward()
    assert gradients(critic) == [None, None] and all(gradients(actor))
    actor.zero_grad()

    advantage.pow(2).mean().backward()
    assert gradients(actor) == [None, None] and all(gradients(critic))

    critic.zero_grad()
    value = critic(state).squeeze(1)
    (-(torch.log_softmax(actor(state), 1)[:, 0] * (1 - value)).mean()).backward()
    assert all(gradients(actor)) and all(gradients(critic))  # without the cut, the actor's loss moves the critic


def test_a_target_network_gets_no_gradient():
    torch.manual_seed(0)
    online, target = nn.Linear(3, 1), nn.Linear(3, 1)
    optimizer = optim.SGD(online.parameters(), lr=0.1)
    before = target.weight.tolist()
    loss = (online(torch.ones(2, 3)) - target(torch.ones(2, 3)).detach()).pow(2).mean()
    loss.backward()
    optimizer.step()
    assert target.weight.grad is None and target.weight.tolist() == before


# --- writing through an alias -----------------------------------------------------------------------------------------


def test_a_write_through_a_detached_alias_is_caught():
    x = leaf(1, 2)
    y = x.sigmoid()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as error:
        y.sum().backward()
    assert "SigmoidBackward0" in str(error.value) and "version 1; expected version 0" in str(error.value)


def test_a_write_to_a_clone_is_free():
    x = leaf(1, 2)
    y = x.exp()
    y.detach().clone().zero_()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([1, 2]), rtol=1e-6)


def test_a_write_through_data_is_not_caught():
    x = leaf(1, 2)
    y = x.exp()
    y.data.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]  # wrong, and silent, as in PyTorch


def test_a_write_that_no_derivative_needs_is_free():
    x = leaf(1, 2)
    y = x + 1
    y.detach().zero_()
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


# --- NumPy and no_grad ------------------------------------------------------------------------------------------------


def test_numpy_needs_a_detached_tensor_and_shares_memory():
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        x.numpy()
    array = x.detach().numpy()
    array[0] = 7
    assert x.tolist() == [7.0, 2.0]


def test_no_grad_beside_detach():
    x = leaf(3)
    y = x * 2
    with torch.no_grad():
        inside = y * 5
        assert not inside.requires_grad and inside.grad_fn is None
        assert y.requires_grad  # what was recorded before is untouched
    assert not (y.detach() * 5).requires_grad
    (y * 5).sum().backward()
    assert x.grad.item() == 10.0


def test_no_grad_as_decorator_and_updates_of_leaves():
    w = leaf(1)

    @torch.no_grad()
    def update(rate):
        w.sub_(rate * w.grad)

    (w**2).sum().backward()
    update(0.5)
    assert w.item() == 0.0 and w.is_leaf and w.requires_grad
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        w.sub_(1)
