"""Anomaly mode names the line of the forward pass."""

import warnings

import pytest

import wengert as torch
from wengert.autograd import Function


def test_nan_is_an_error_that_names_the_forward_line():
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"), torch.autograd.detect_anomaly():
        x = torch.zeros(2, requires_grad=True)
        y = x.sqrt() * 0  # this very line
        named = pytest.warns(UserWarning, match=r"Error detected in SqrtBackward0(.|\n)*# this very line")
        with named, pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output"):
            y.sum().backward()


def test_check_nan_can_be_left_out():
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        x = torch.zeros(2, requires_grad=True)
        (x.sqrt() * 0).sum().backward()
    assert x.grad.isnan().all()


def test_an_error_in_backward_names_the_forward_line():
    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ValueError("broken")

    with torch.autograd.set_detect_anomaly(True):
        y = Fails.apply(torch.ones(1, requires_grad=True))
        with (
            pytest.warns(UserWarning, match=r"FailsBackward(.|\n)*Fails.apply"),
            pytest.raises(ValueError, match="broken"),
        ):
            y.backward()


def test_the_mode_ends_with_its_block_and_costs_no_trace_outside():
    with torch.autograd.set_detect_anomaly(True):
        assert torch.is_anomaly_enabled()
        inside = torch.ones(1, requires_grad=True).exp()
    assert not torch.is_anomaly_enabled()
    outside = torch.ones(1, requires_grad=True).exp()
    assert "traceback_" in inside.grad_fn.metadata
    assert outside.grad_fn.metadata == {}


def test_without_the_mode_in_forward_there_is_no_line_to_name():
    y = torch.zeros(1, requires_grad=True).sqrt() * 0
    with torch.autograd.set_detect_anomaly(True), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="nan values"):
            y.backward()
    assert any("No forward pass information available" in str(w.message) for w in caught)


def test_each_pass_that_led_to_the_failing_node_is_a_warning_of_its_own():
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="nan values"), torch.autograd.detect_anomaly():
            x = torch.zeros(2, requires_grad=True)
            (g,) = torch.autograd.grad(x.pow(1.5).sum(), x, create_graph=True)
            torch.autograd.grad((g * g / g).sum(), x)
    texts = [str(w.message) for w in given]
    assert texts[0].startswith("Anomaly Detection has been enabled")
    assert texts[1].startswith("Error detected in ")
