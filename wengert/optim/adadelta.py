"""Adadelta (Zeiler 2012): steps in the units of the parameter, without a learning rate to find."""

import numpy as np

from .functional import functional
from .optimizer import ArrayOptimizer, add_square, check_lr, check_nonnegative, decayed, scalar, zeros_like

__all__ = ["Adadelta", "adadelta"]


class Adadelta(ArrayOptimizer):
    """p ← p - lr · d, d = g · √(mean d² + eps) / √(mean g² + eps), running means with decay rho."""

    _group_defaults = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_nonnegative(eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        return {"step": self._step_tensor(), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def _arrays(self, group):
        return ("step", "square_avg", "acc_delta")

    def _update(self, group, step, p, g, square_avg, acc_delta):
        t, u, d = self._scratch(p, 3)
        rho, eps = group["rho"], group["eps"]
        if group["weight_decay"] != 0:
            g = decayed(g, p, group["weight_decay"], out=u)
        add_square(square_avg, g, rho, 1 - rho, out=t)
        np.add(square_avg, eps, out=t)
        np.sqrt(t, out=t)
        np.add(acc_delta, eps, out=d)
        np.sqrt(d, out=d)
        d /= t
        d *= g
        add_square(acc_delta, d, rho, 1 - rho, out=t)
        d *= scalar(group["lr"])
        p -= d


adadelta = functional(
    Adadelta, "adadelta",
    {"square_avgs": "square_avg", "acc_deltas": "acc_delta", "state_steps": "step"},
    "capturable=False, foreach=None, differentiable=False, has_complex=False, *, lr, rho, eps, weight_decay, maximize",
)  # fmt: skip
