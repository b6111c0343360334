"""Adam for gradients that are sparse tensors."""

from .adam import check_betas
from .optimizer import Optimizer, check_lr, check_nonnegative

__all__ = ["SparseAdam"]


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

    def step(self, closure=None):
        """Refuse dense gradients, as PyTorch does, and sparse ones, which are not supported."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not p.grad.is_sparse:
                    raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
                raise NotImplementedError("SparseAdam: sparse gradients are not supported")
        return
