"""Stochastic gradient descent, with momentum (Polyak 1964) and Nesterov's variant (Sutskever et al. 2013)."""

import numpy as np

import wengert

from .functional import functional
from .optimizer import ArrayOptimizer, check_lr, check_nonnegative, decayed, scalar, zeros_like

__all__ = ["SGD", "sgd"]


class SGD(ArrayOptimizer):
    """p ← p - lr · v, where v ← momentum · v + (1 - dampening) · g, and g includes weight_decay · p.

    The first v is g itself. `nesterov` looks ahead: p ← p - lr · (g + momentum · v).
    """

    _group_defaults = {"nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False}

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_nonnegative(momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state):
        super().__setstate__(state)
        for p, own in self.state.items():  # older checkpoints say None for a velocity that is not there yet
            if own.get("momentum_buffer", 0) is None:
                self.state[p] = {}

    _copies_in_graph = False  # a velocity begins outside of the graph, where the step is recorded in one

    def _new_state(self, group, p):
        return {"momentum_buffer": zeros_like(p)}

    def _arrays(self, group):
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def _update(self, group, step, p, g, velocity=None):
        t, u = self._scratch(p, 2)
        momentum = group["momentum"]
        if group["weight_decay"] != 0:
            g = decayed(g, p, scalar(group["weight_decay"]), out=t)
        if velocity is not None:
            if step == 1:
                np.copyto(velocity, g)
            else:
                velocity *= momentum
                np.multiply(g, 1 - group["dampening"], out=u)
                velocity += u
            if group["nesterov"]:
                np.multiply(velocity, momentum, out=u)
                g = np.add(g, u, out=t)
            else:
                g = velocity
        np.multiply(g, scalar(group["lr"]), out=u)
        p -= u

    def _step_sparse(self, group, p, grad):
        if group["weight_decay"] != 0:
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        with wengert.no_grad():
            momentum = group["momentum"]
            if momentum != 0:
                velocity = self.state[p].get("momentum_buffer")
                velocity = grad.clone() if velocity is None else velocity * momentum + grad * (1 - group["dampening"])
                self.state[p]["momentum_buffer"] = velocity
                grad = grad + velocity * momentum if group["nesterov"] else velocity
            p.add_(grad, alpha=-scalar(group["lr"]))


sgd = functional(
    SGD, "sgd",
    {"momentum_buffer_list": "momentum_buffer"},
    "has_sparse_grad=False, foreach=None, fused=None, grad_scale=None, found_inf=None, *, weight_decay, momentum, lr, "
    "dampening, nesterov, maximize", gradients="d_p_list",
)  # fmt: skip
