"""Adamax (Kingma & Ba 2015): Adam with the largest gradient in place of the root mean square."""

import numpy as np

from .adam import check_betas
from .functional import functional
from .optimizer import ArrayOptimizer, check_lr, check_nonnegative, decayed, lerp, scalar, zeros_like

__all__ = ["Adamax", "adamax"]


class Adamax(ArrayOptimizer):
    """p ← p - lr / (1 - beta1^step) · m / u, where u ← max(beta2 · u, |g| + eps)."""

    _group_defaults = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_nonnegative(eps=eps)
        check_betas(betas)
        check_nonnegative(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        return {"step": self._step_tensor(), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _arrays(self, group):
        return ("step", "exp_avg", "exp_inf")

    def _update(self, group, step, p, g, m, largest):
        t, u = self._scratch(p, 2)
        beta1, beta2 = group["betas"]
        if group["weight_decay"] != 0:
            g = decayed(g, p, group["weight_decay"], out=u)
        lerp(m, g, 1 - beta1, out=t)
        largest *= beta2
        np.abs(g, out=t)
        t += group["eps"]
        np.maximum(largest, t, out=largest)
        np.multiply(m, scalar(group["lr"]) / (1 - beta1**step), out=u)
        u /= largest
        p -= u


adamax = functional(
    Adamax, "adamax",
    {"exp_avgs": "exp_avg", "exp_infs": "exp_inf", "state_steps": "step"},
    "foreach=None, maximize=False, differentiable=False, capturable=False, has_complex=False, *, eps, beta1, beta2, "
    "lr, weight_decay",
)  # fmt: skip
