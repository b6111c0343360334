"""Muon (Jordan 2024): momentum whose matrix is made orthogonal by Newton-Schulz iterations before it is applied."""

import math

import ml_dtypes
import numpy as np

import wengert

from .functional import functional
from .optimizer import ArrayOptimizer, lerp, scalar, zeros_like

__all__ = ["Muon", "muon"]

# How the learning rate is matched to the matrix's shape.
_ADJUSTMENTS = {
    None: lambda rows, cols: math.sqrt(max(1, rows / cols)),
    "original": lambda rows, cols: math.sqrt(max(1, rows / cols)),
    "match_rms_adamw": lambda rows, cols: 0.2 * math.sqrt(max(rows, cols)),
}


def _bfloat16(a):
    """Values rounded to bfloat16, kept in float32: the precision that PyTorch iterates in."""
    return a.astype(ml_dtypes.bfloat16).astype(np.float32)


def _orthogonalized(matrix, coefficients, steps, eps):
    """An approximation of U Vᵀ for matrix = U S Vᵀ, by `steps` quintic Newton-Schulz iterations in bfloat16."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = _bfloat16(matrix)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    norm = _bfloat16(np.sqrt(np.sum(x * x, dtype=np.float32)))
    x = _bfloat16(x / np.maximum(norm, _bfloat16(np.float32(eps))))
    for _ in range(steps):
        gram = _bfloat16(x @ x.T)
        polynomial = _bfloat16(b * gram + c * (gram @ gram))
        x = _bfloat16(a * x + polynomial @ x)
    return x.T if tall else x


class Muon(ArrayOptimizer):
    """p ← (1 - lr · weight_decay) · p - lr' · orthogonalized(momentum), for matrices."""

    _group_defaults = {}
    _elementwise = False

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        if isinstance(lr, wengert.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in _ADJUSTMENTS:
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _check_first(self, group, p, grad):
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        super()._check_first(group, p, grad)

    def _new_state(self, group, p):
        return {"momentum_buffer": zeros_like(p)}

    def _arrays(self, group):
        return ("momentum_buffer",)

    def _update(self, group, step, p, g, velocity):
        t, u = self._scratch(p, 2)
        lr, momentum = scalar(group["lr"]), group["momentum"]
        lerp(velocity, g, 1 - momentum, out=t)
        update = velocity
        if group["nesterov"]:
            update = np.array(g)
            lerp(update, velocity, momentum, out=t)
        update = _orthogonalized(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p *= 1 - lr * group["weight_decay"]
        p -= np.multiply(update, lr * _ADJUSTMENTS[group["adjust_lr_fn"]](*p.shape), out=u)


muon = functional(
    Muon, "muon",
    {"muon_momentum_bufs": "momentum_buffer"},
    "*, foreach=None, lr, weight_decay, momentum, nesterov, ns_coefficients, ns_steps, eps, adjust_lr_fn, has_complex",
)  # fmt: skip
