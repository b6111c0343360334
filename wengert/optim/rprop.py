"""Rprop (Riedmiller & Braun 1993): only the gradient's sign counts; each element has a step size of its own."""

import numpy as np

import wengert

from .functional import functional
from .optimizer import ArrayOptimizer, check_lr, scalar, zeros_like

__all__ = ["Rprop", "rprop"]


class Rprop(ArrayOptimizer):
    """p ← p - step_size · sign(g); step_size grows by etas[1] while the sign stays, shrinks by etas[0] if it flips."""

    _group_defaults = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        lr = scalar(group["lr"])
        return {
            "step": self._step_tensor(),
            "prev": zeros_like(p),
            "step_size": wengert.full_like(
                p, complex(lr, lr) if p.is_complex() else lr, memory_format=wengert.preserve_format, requires_grad=False
            ),
        }

    def _arrays(self, group):
        return ("step", "prev", "step_size")

    def _update(self, group, step, p, g, previous, step_size):
        t, u = self._scratch(p, 2)
        shrink, grow = group["etas"]
        np.multiply(g, previous, out=t)
        flipped = t < 0
        step_size *= np.where(flipped, t.dtype.type(shrink), np.where(t > 0, t.dtype.type(grow), t.dtype.type(1)))
        np.clip(step_size, *group["step_sizes"], out=step_size)
        # Where the sign flipped, stay, and forget the gradient so that the next step counts as the first.
        np.copyto(previous, g)
        previous[flipped] = 0
        np.sign(previous, out=u)
        u *= step_size
        p -= u


rprop = functional(
    Rprop, "rprop",
    {"prevs": "prev", "step_sizes": "step_size", "state_steps": "step"},
    "foreach=None, capturable=False, maximize=False, differentiable=False, has_complex=False, *, step_size_min, "
    "step_size_max, etaminus, etaplus",
)  # fmt: skip
