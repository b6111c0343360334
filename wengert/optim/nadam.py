"""NAdam (Dozat 2016): Adam with Nesterov's momentum."""

import numpy as np

import wengert

from .adam import check_betas
from .functional import functional
from .optimizer import ArrayOptimizer, add_square, check_lr, check_nonnegative, decayed, lerp, scalar, zeros_like

__all__ = ["NAdam", "nadam"]


class NAdam(ArrayOptimizer):
    """Adam whose step mixes g and m by a momentum schedule μ_t = beta1 · (1 - ½ · 0.96^(t · momentum_decay))."""

    _group_defaults = {
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
    }

    _scalars = ("step", "mu_product")

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
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
        check_nonnegative(weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        step = self._step_tensor()
        return {
            "step": step,
            "mu_product": wengert.ones((), dtype=step.dtype),
            "exp_avg": zeros_like(p),
            "exp_avg_sq": zeros_like(p),
        }

    def _arrays(self, group):
        return ("step", "mu_product", "exp_avg", "exp_avg_sq")

    def _update(self, group, step, p, g, mu_product, m, v):
        t, u = self._scratch(p, 2)
        lr, weight_decay, decay = scalar(group["lr"]), group["weight_decay"], group["momentum_decay"]
        beta1, beta2 = group["betas"]
        if weight_decay != 0:
            if group["decoupled_weight_decay"]:
                p *= 1 - lr * weight_decay
            else:
                g = decayed(g, p, weight_decay, out=u)
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * decay))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * decay))
        mu_product *= mu
        product = float(mu_product)
        lerp(m, g, 1 - beta1, out=t)
        add_square(v, g, beta2, 1 - beta2, out=t)
        np.divide(v, 1 - beta2**step, out=t)
        np.sqrt(t, out=t)
        t += group["eps"]
        np.multiply(g, lr * (1.0 - mu) / (1.0 - product), out=u)
        u /= t
        p -= u
        np.multiply(m, lr * mu_next / (1.0 - product * mu_next), out=u)
        u /= t
        p -= u


nadam = functional(
    NAdam, "nadam",
    {"exp_avgs": "exp_avg", "exp_avg_sqs": "exp_avg_sq", "mu_products": "mu_product", "state_steps": "step"},
    "decoupled_weight_decay=False, foreach=None, capturable=False, differentiable=False, has_complex=False, "
    "maximize=False, *, beta1, beta2, lr, weight_decay, momentum_decay, eps",
)  # fmt: skip
