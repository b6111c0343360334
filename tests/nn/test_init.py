"""Starting values: their bounds, moments and structure."""

import math

import numpy as np
import pytest

import wengert as torch
from wengert import nn


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_uniform_bounds():
    w = torch.empty(40, 30)
    for fill, bound in (
        (lambda: nn.init.uniform_(w, -2, 3), None),
        (lambda: nn.init.xavier_uniform_(w), math.sqrt(6 / 70)),
        (lambda: nn.init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(6 / 30)),
    ):
        fill()
        low, high = (-2, 3) if bound is None else (-bound, bound)
        values = w.numpy()
        assert low <= values.min() < low * 0.95 and high * 0.95 < values.max() <= high


def test_normal_deviations():
    w = torch.empty(200, 100)
    for fill, std in (
        (lambda: nn.init.normal_(w, 0, 2), 2),
        (lambda: nn.init.xavier_normal_(w, gain=2), 2 * math.sqrt(2 / 300)),
        (lambda: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 200)),
    ):
        fill()
        assert abs(w.numpy().std() / std - 1) < 0.02


def test_truncated_normal_stays_inside():
    w = nn.init.trunc_normal_(torch.empty(5000), std=1.0, a=-1.0, b=0.5).numpy()
    assert w.min() >= -1 and w.max() <= 0.5


def test_orthogonal():
    w = nn.init.orthogonal_(torch.empty(3, 5), gain=2).numpy()
    np.testing.assert_allclose(w @ w.T, 4 * np.eye(3), atol=1e-5)


def test_sparse_columns():
    w = nn.init.sparse_(torch.empty(10, 4), sparsity=0.3).numpy()
    assert ((w == 0).sum(axis=0) == 3).all()


def test_identity_kernels():
    np.testing.assert_array_equal(nn.init.eye_(torch.empty(2, 3)).numpy(), np.eye(2, 3))
    w = nn.init.dirac_(torch.empty(4, 2, 3), groups=2).numpy()
    assert [tuple(i) for i in np.argwhere(w)] == [(0, 0, 1), (1, 1, 1), (2, 0, 1), (3, 1, 1)]


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", 1, 1),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert nn.init.calculate_gain(name, param) == pytest.approx(gain)


def test_filling_is_not_recorded():
    p = nn.Parameter(torch.empty(2, 2))
    assert nn.init.ones_(p) is p and p.is_leaf and p.requires_grad


def test_linear_starts_within_its_bound():
    layer = nn.Linear(25, 4)
    assert layer.weight.abs().max().item() <= 0.2 and layer.bias.abs().max().item() <= 0.2


def test_a_cut_off_normal_redraws_only_what_was_refused():
    torch.manual_seed(3)
    first = torch.empty(40).normal_()
    torch.manual_seed(3)
    w = nn.init.trunc_normal_(torch.empty(40), a=-1.0, b=1.0)
    inside = first.abs() <= 1
    assert not inside.all()
    assert w[inside].tolist() == first[inside].tolist()
    assert (w.abs() <= 1).all()


def test_a_cut_off_tail_is_normal_there():
    torch.manual_seed(4)
    w = nn.init.trunc_normal_(torch.empty(4000), a=1.0, b=2.0).numpy()
    assert w.min() >= 1
    assert w.max() <= 2
    assert w.mean() == pytest.approx(1.3831, abs=0.02)  # (pdf(1) - pdf(2)) / (cdf(2) - cdf(1))
