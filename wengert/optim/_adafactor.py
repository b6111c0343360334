"""Adafactor (Shazeer & Stern 2018): second moments kept as a row and a column instead of a matrix."""

import math

import numpy as np

import wengert

from .functional import functional
from .optimizer import ArrayOptimizer, scalar, zeros_like

__all__ = ["Adafactor", "adafactor"]


def _norm(a):
    """The 2-norm of all elements, as a Python number."""
    flat = a.reshape(-1)
    return math.sqrt(np.dot(flat, flat))


class Adafactor(ArrayOptimizer):
    """p ← p - α · u, u = g / √v clipped to root mean square d, v ≈ row · col / mean(row), α relative to p's scale."""

    _group_defaults = {"foreach": None, "maximize": False}
    _elementwise = False

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        if isinstance(lr, wengert.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_first(self, group, p, grad):
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        super()._check_first(group, p, grad)

    def _new_state(self, group, p):
        state = {"step": wengert.tensor(0.0, dtype=wengert.float32)}
        if p.dim() > 1:
            shape = list(p.shape)
            state["row_var"] = p.new_zeros([*shape[:-1], 1])
            state["col_var"] = p.new_zeros([*shape[:-2], 1, shape[-1]])
        else:
            state["variance"] = zeros_like(p)
        return state

    def _arrays(self, group):
        return ("step", "row_var", "col_var")

    def _arrays_of(self, state, names):
        return [state[name]._array for name in (names if "row_var" in state else ("step", "variance"))]

    def _update(self, group, step, p, g, *variance):
        (eps1, eps2), lr = group["eps"], scalar(group["lr"])
        if eps1 is None:
            eps1 = float(np.finfo(p.dtype).eps)
        weight = step ** group["beta2_decay"]
        rho = min(lr, 1 / step**0.5)
        alpha = max(eps2, _norm(p) / p.size**0.5) * rho
        if group["weight_decay"] != 0:
            p *= 1 - lr * group["weight_decay"]
        squares = g * g
        if len(variance) == 2:
            row, col = variance
            row += weight * (squares.mean(axis=-1, keepdims=True) - row)
            col += weight * (squares.mean(axis=-2, keepdims=True) - col)
            estimate = row @ col
            estimate /= np.maximum(row.mean(axis=-2, keepdims=True), eps1)
        else:
            (v,) = variance
            v += weight * (squares - v)
            estimate = v
        update = g / np.sqrt(np.maximum(estimate, eps1 * eps1))
        denominator = max(1.0, _norm(update) / (update.size**0.5 * group["d"]))
        p -= update * (alpha / denominator)


adafactor = functional(
    Adafactor, "adafactor",
    {"row_vars": "row_var", "col_vars": "col_var", "variances": "variance", "state_steps": "step"},
    "foreach=None, grad_scale=None, found_inf=None, has_complex=False, *, d, lr, beta2_decay, weight_decay, eps1, "
    "eps2, maximize",
)  # fmt: skip
