"""Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

import numpy as np

import wengert

from .functional import functional
from .optimizer import ArrayOptimizer, check_lr, check_nonnegative, decayed, scalar, zeros_like

__all__ = ["ASGD", "asgd"]


class ASGD(ArrayOptimizer):
    """p ← (1 - lambd · eta) · p - eta · g, eta falling as a power `alpha` of the step; from step t0 on the state's
    "ax" is the average of p.
    """

    _group_defaults = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    _elementwise = False

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_nonnegative(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        step = self._step_tensor()
        return {
            "step": step,
            "eta": wengert.tensor(scalar(group["lr"]), dtype=step.dtype),
            "mu": wengert.ones((), dtype=step.dtype),
            "ax": zeros_like(p),
        }

    def _arrays(self, group):
        return ("step", "eta", "mu", "ax")

    def _update(self, group, step, p, g, eta, mu, average):
        t, u = self._scratch(p, 2)
        lambd, lr = group["lambd"], scalar(group["lr"])
        if group["weight_decay"] != 0:
            g = decayed(g, p, group["weight_decay"], out=u)
        p *= 1 - lambd * float(eta)
        np.multiply(g, float(eta), out=t)
        p -= t
        if float(mu) != 1:
            np.subtract(p, average, out=t)
            t *= float(mu)
            average += t
        else:
            np.copyto(average, p)
        # By way of the default dtype, as PyTorch does: a loaded eta may be wider.
        number = wengert.get_default_dtype().numpy.type
        eta[...] = number(lr / (1 + lambd * lr * step) ** group["alpha"])
        mu[...] = number(1 / max(1, step - group["t0"]))


asgd = functional(
    ASGD, "asgd",
    {"axs": "ax", "mus": "mu", "etas": "eta", "state_steps": "step"},
    "foreach=None, maximize=False, differentiable=False, capturable=False, has_complex=False, *, lambd, lr, t0, alpha, "
    "weight_decay",
)  # fmt: skip
