"""RMSprop (Hinton 2012), plain and centered (Graves 2013)."""

import numpy as np

from .functional import functional
from .optimizer import ArrayOptimizer, add_square, check_lr, check_nonnegative, decayed, lerp, scalar, zeros_like

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(ArrayOptimizer):
    """p ← p - lr · g / (√(mean g²) + eps).

    `centered` subtracts the squared mean of g from the mean square; `momentum` averages the steps.
    """

    _group_defaults = {
        "momentum": 0,
        "centered": False,
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        check_nonnegative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        return {name: self._step_tensor() if name == "step" else zeros_like(p) for name in self._arrays(group)}

    def _arrays(self, group):
        names = ("step", "square_avg")
        if group["momentum"] > 0:
            names += ("momentum_buffer",)
        if group["centered"]:
            names += ("grad_avg",)
        return names

    def _update(self, group, step, p, g, square_avg, *rest):
        t, u = self._scratch(p, 2)
        alpha, lr = group["alpha"], scalar(group["lr"])
        if group["weight_decay"] != 0:
            g = decayed(g, p, group["weight_decay"], out=u)
        add_square(square_avg, g, alpha, 1 - alpha, out=t)
        if group["centered"]:
            grad_avg = rest[-1]
            lerp(grad_avg, g, 1 - alpha, out=t)
            np.multiply(grad_avg, grad_avg, out=t)
            np.subtract(square_avg, t, out=t)
            np.sqrt(t, out=t)
        else:
            np.sqrt(square_avg, out=t)
        t += group["eps"]
        if group["momentum"] > 0:
            velocity = rest[0]
            velocity *= group["momentum"]
            np.divide(g, t, out=u)
            velocity += u
            np.multiply(velocity, lr, out=u)
        else:
            np.multiply(g, lr, out=u)
            u /= t
        p -= u


rmsprop = functional(
    RMSprop, "rmsprop",
    {"square_avgs": "square_avg", "grad_avgs": "grad_avg", "momentum_buffer_list": "momentum_buffer",
     "state_steps": "step"},
    "foreach=None, maximize=False, differentiable=False, capturable=False, has_complex=False, *, lr, alpha, eps, "
    "weight_decay, momentum, centered",
)  # fmt: skip
