"""Learning-rate schedules against their formulas."""

import math
import warnings

import pytest

import wengert as torch
from wengert import nn, optim
from wengert.optim import lr_scheduler, swa_utils


def optimizer(lr=1.0):
    return optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def rates(make, epochs):
    o = optimizer()
    schedule = make(o)
    found = []
    for _ in range(epochs):
        found.append(o.param_groups[0]["lr"])
        o.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (e + 1)), lambda e: 1 / (e + 1)),
        (lambda o: lr_scheduler.StepLR(o, 3, 0.5), lambda e: 0.5 ** (e // 3)),
        (lambda o: lr_scheduler.MultiStepLR(o, [2, 5], 0.1), lambda e: 0.1 ** ((e >= 2) + (e >= 5))),
        (lambda o: lr_scheduler.ExponentialLR(o, 0.9), lambda e: 0.9**e),
        (lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 4), lambda e: 0.5 + 0.5 * min(e, 4) / 4),
        (lambda o: lr_scheduler.ConstantLR(o, 0.5, 3), lambda e: 0.5 if e < 3 else 1.0),
        (lambda o: lr_scheduler.PolynomialLR(o, 8, 2.0), lambda e: (1 - e / 8) ** 2),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 8), lambda e: (1 + math.cos(math.pi * e / 8)) / 2),
        (
            lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
            lambda e: (1 + math.cos(math.pi * (e % 4) / 4)) / 2,
        ),
    ],
)
def test_closed_forms(make, formula):
    assert rates(make, 8) == pytest.approx([formula(e) for e in range(8)])


def test_one_cycle_rises_and_falls():
    found = rates(lambda o: lr_scheduler.OneCycleLR(o, 2.0, total_steps=11), 10)
    peak = found.index(max(found))
    assert found[0] == pytest.approx(2 / 25) and 0 < peak < 5
    assert found[:peak] == sorted(found[:peak]) and found[peak:] == sorted(found[peak:], reverse=True)


def test_plateau_waits_for_its_patience():
    o = optimizer()
    schedule = lr_scheduler.ReduceLROnPlateau(o, patience=1, factor=0.1)
    for loss in (1.0, 0.5, 0.5, 0.5):
        schedule.step(loss)
    assert o.param_groups[0]["lr"] == pytest.approx(0.1)


def test_stepping_the_schedule_first_is_warned_about():
    schedule = lr_scheduler.StepLR(optimizer(), 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()


def test_stepping_in_order_is_not():
    o = optimizer()
    schedule = lr_scheduler.StepLR(o, 1)
    o.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()


def test_state_is_taken_over():
    a, b = optimizer(), optimizer()
    one, two = lr_scheduler.StepLR(a, 2, 0.5), lr_scheduler.StepLR(b, 2, 0.5)
    for _ in range(3):
        a.step()
        one.step()
    two.load_state_dict(one.state_dict())
    assert two.last_epoch == 3 and two.get_last_lr() == [0.5]


def test_averaged_models():
    layer = nn.Linear(1, 1, bias=False)
    average = swa_utils.AveragedModel(layer)
    ema = swa_utils.AveragedModel(layer, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5))
    for value in (1.0, 3.0, 5.0):
        layer.weight.data.fill_(value)
        average.update_parameters(layer)
        ema.update_parameters(layer)
    assert average.module.weight.item() == pytest.approx(3.0)
    assert ema.module.weight.item() == pytest.approx(3.5)
    assert average.n_averaged.item() == 3
