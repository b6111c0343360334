"""Adam (Kingma & Ba 2015), with AMSGrad (Reddi et al. 2018) and decoupled weight decay."""

import math

import numpy as np

from wengert.tensor import Tensor

from .functional import functional
from .optimizer import ArrayOptimizer, add_square, check_lr, check_nonnegative, decayed, lerp, scalar, zeros_like

__all__ = ["Adam", "adam"]


def check_betas(betas):
    """Raise ValueError unless both are in [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


class Adam(ArrayOptimizer):
    """p ← p - lr · m̂ / (√v̂ + eps): m and v are running means of g and g², the hats undo their start at zero.

    `weight_decay` adds weight_decay · p to g, or with `decoupled_weight_decay` shrinks p by lr · weight_decay.
    `amsgrad` divides by the largest v so far.
    """

    _sparse_message = "Adam does not support sparse gradients, please consider SparseAdam instead"
    _group_defaults = {
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "fused": None,
    }

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        check_lr(lr, foreach and not capturable)
        check_nonnegative(eps=eps)
        check_betas(betas)
        check_nonnegative(weight_decay=weight_decay)
        if isinstance(betas[0], Tensor) != isinstance(betas[1], Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if isinstance(beta, Tensor) and foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if isinstance(beta, Tensor) and beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _new_state(self, group, p):
        state = {"step": self._step_tensor(), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def _arrays(self, group):
        names = ("step", "exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def _update(self, group, step, p, g, m, v, largest_v=None):
        t, u = self._scratch(p, 2)
        lr, weight_decay = scalar(group["lr"]), group["weight_decay"]
        beta1, beta2 = map(scalar, group["betas"])
        if weight_decay != 0:
            if group["decoupled_weight_decay"]:
                p *= 1 - lr * weight_decay
            else:
                g = decayed(g, p, weight_decay, out=u)
        lerp(m, g, 1 - beta1, out=t)
        add_square(v, g, beta2, 1 - beta2, out=t)
        if largest_v is not None:
            v = np.maximum(largest_v, v, out=largest_v)
        np.sqrt(v, out=t)
        t /= math.sqrt(1 - beta2**step)
        t += group["eps"]
        np.multiply(m, lr / (1 - beta1**step), out=u)
        u /= t
        p -= u


adam = functional(
    Adam, "adam",
    {"exp_avgs": "exp_avg", "exp_avg_sqs": "exp_avg_sq", "max_exp_avg_sqs": "max_exp_avg_sq", "state_steps": "step"},
    "foreach=None, capturable=False, differentiable=False, fused=None, grad_scale=None, found_inf=None, "
    "has_complex=False, decoupled_weight_decay=False, *, amsgrad, beta1, beta2, lr, weight_decay, eps, maximize",
)  # fmt: skip
