"""Adam for gradients that are sparse tensors."""

import math

import numpy as np

import wengert
from wengert.autograd.views import bump

from .adam import check_betas
from .optimizer import Optimizer, check_lr, check_nonnegative, scalar, zeros_like

__all__ = ["SparseAdam", "sparse_adam"]


class SparseAdam(Optimizer):
    """Adam that changes moments and parameters only where the sparse gradient has values."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        check_lr(lr)
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_nonnegative(eps=eps)
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        places = ((i, j, p) for i, group in enumerate(self.param_groups) for j, p in enumerate(group["params"]))
        sparse = [(i, j) for i, j, p in places if p.is_sparse]
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")

    def step(self, closure=None):
        """Update the rows that have gradients; `closure` (optional) computes the loss anew and returns it.

        Raises RuntimeError for a dense gradient.
        """
        loss = None
        if closure is not None:
            with wengert.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not p.grad.is_sparse:
                    raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
                self._step_one(group, p, (p.grad.neg() if group["maximize"] else p.grad).coalesce())
        return loss

    def _step_one(self, group, p, grad):
        own = self.state[p]
        if not own:
            own.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        own["step"] += 1
        places, g = tuple(grad._indices()._array), grad._values()._array
        if not g.size:
            return
        (beta1, beta2), averages = group["betas"], []
        for name, new, beta in (("exp_avg", g, beta1), ("exp_avg_sq", g * g, beta2)):
            old = own[name]._array[places]
            own[name]._array[places] = average = old + (new - old) * g.dtype.type(1 - beta)
            averages.append(average)
            bump(own[name])
        rate = scalar(group["lr"]) * math.sqrt(1 - beta2 ** own["step"]) / (1 - beta1 ** own["step"])
        mean, square = averages
        p._array[places] -= mean / (np.sqrt(square) + g.dtype.type(group["eps"])) * g.dtype.type(rate)
        bump(p)


def sparse_adam(params, grads, exp_avgs, exp_avg_sqs, state_steps, *, eps, beta1, beta2, lr, maximize):
    """One step of `SparseAdam` on lists; the step counts are numbers, which the caller has raised already."""
    optimizer = object.__new__(SparseAdam)
    optimizer.state = {}
    group = {"betas": (beta1, beta2), "eps": eps, "lr": lr}
    for p, grad, mean, square, step in zip(params, grads, exp_avgs, exp_avg_sqs, state_steps, strict=True):
        optimizer.state[p] = {"step": step - 1, "exp_avg": mean, "exp_avg_sq": square}
        optimizer._step_one(group, p, (grad.neg() if maximize else grad).coalesce())
