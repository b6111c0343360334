"""Adagrad (Duchi et al. 2011): steps shrink with the sum of squared gradients."""

import numpy as np

import wengert
from wengert.autograd.views import bump

from .functional import functional
from .optimizer import ArrayOptimizer, add_square, check_lr, check_nonnegative, decayed, scalar

__all__ = ["Adagrad", "adagrad"]


class Adagrad(ArrayOptimizer):
    """p ← p - lr' · g / (√Σg² + eps), where lr' = lr / (1 + (step - 1) · lr_decay)."""

    _group_defaults = {"maximize": False, "foreach": None, "differentiable": False, "fused": None}

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_nonnegative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        # Unlike the others, Adagrad has its state from the start.
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._new_state(group, p)

    def _new_state(self, group, p):
        start = group["initial_accumulator_value"]
        fill = complex(start, start) if p.is_complex() else start
        return {
            "step": self._step_tensor(),
            "sum": wengert.full_like(p, fill, memory_format=wengert.preserve_format, requires_grad=False),
        }

    def share_memory(self):
        """Move the state to shared memory."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _arrays(self, group):
        return ("step", "sum")

    def _update(self, group, step, p, g, total):
        t, u = self._scratch(p, 2)
        if group["weight_decay"] != 0:
            g = decayed(g, p, group["weight_decay"], out=u)
        add_square(total, g, 1.0, 1.0, out=t)
        np.sqrt(total, out=t)
        t += group["eps"]
        np.multiply(g, scalar(group["lr"]) / (1 + (step - 1) * group["lr_decay"]), out=u)
        u /= t
        p -= u

    def _step_sparse(self, group, p, grad):
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        own = self.state[p]
        own["step"] += 1
        rate = scalar(group["lr"]) / (1 + (own["step"].item() - 1) * group["lr_decay"])
        grad = grad.coalesce()
        places, g = tuple(grad._indices()._array), grad._values()._array
        own["sum"]._array[places] += g * g
        p._array[places] -= rate * (g / (np.sqrt(own["sum"]._array[places]) + group["eps"]))
        bump(own["sum"])
        bump(p)


adagrad = functional(
    Adagrad, "adagrad",
    {"state_sums": "sum", "state_steps": "step"},
    "fused=None, grad_scale=None, found_inf=None, has_sparse_grad=False, foreach=None, differentiable=False, "
    "has_complex=False, *, lr, weight_decay, lr_decay, eps, maximize",
)  # fmt: skip
