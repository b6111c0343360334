"""RAdam (Liu et al. 2020): Adam that waits with adaptive steps until their variance is known well enough."""

import numpy as np

from .adam import check_betas
from .functional import functional
from .optimizer import ArrayOptimizer, add_square, check_lr, check_nonnegative, decayed, lerp, scalar, zeros_like

__all__ = ["RAdam", "radam"]


class RAdam(ArrayOptimizer):
    """p ← p - lr · m̂ · r / (√v + eps), with the rectification r once enough steps are made; before, p ← p - lr · m̂."""

    _group_defaults = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "capturable": False,
    }

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        return {"step": self._step_tensor(), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _arrays(self, group):
        return ("step", "exp_avg", "exp_avg_sq")

    def _update(self, group, step, p, g, m, v):
        t, u = self._scratch(p, 2)
        lr, weight_decay = scalar(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        if weight_decay != 0:
            if group["decoupled_weight_decay"]:
                p *= 1 - lr * weight_decay
            else:
                g = decayed(g, p, weight_decay, out=u)
        lerp(m, g, 1 - beta1, out=t)
        add_square(v, g, beta2, 1 - beta2, out=t)
        np.divide(m, 1 - beta1**step, out=u)
        u *= lr
        bias_correction2 = 1 - beta2**step
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * step * beta2**step / bias_correction2
        if rho > 5.0:
            np.sqrt(v, out=t)
            t += group["eps"]
            np.divide(bias_correction2**0.5, t, out=t)
            u *= t
            u *= ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
        p -= u


radam = functional(
    RAdam, "radam",
    {"exp_avgs": "exp_avg", "exp_avg_sqs": "exp_avg_sq", "state_steps": "step"},
    "decoupled_weight_decay=False, foreach=None, differentiable=False, capturable=False, has_complex=False, "
    "maximize=False, *, beta1, beta2, lr, weight_decay, eps",
)  # fmt: skip
