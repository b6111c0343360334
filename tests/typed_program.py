"""A program that `make lint` shows to the type checker: what a user may rely on in the public types."""

from typing import assert_type

import wengert as torch


def train(x: torch.Tensor, target: torch.Tensor) -> float:
    w = torch.zeros(3, requires_grad=True)
    loss = torch.mean((torch.matmul(x, w) - target) ** 2)
    assert_type(loss.detach(), torch.Tensor)
    loss.backward()
    with torch.no_grad():
        w.sub_(0.1)
    assert_type(w.shape, torch.Size)
    assert_type(w.requires_grad, bool)
    assert_type(torch.exp(w) * 2 + 1, torch.Tensor)
    assert_type(w.numel(), int)
    return float(loss)
