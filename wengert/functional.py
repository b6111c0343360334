"""``torch.functional``: functions that PyTorch writes in Python; here they are operations like any other."""

import wengert

NAMES = (
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors", "cartesian_prod",
    "cdist", "chain_matmul", "einsum", "istft", "lu", "meshgrid", "norm", "pca_lowrank", "split", "stft",
    "svd_lowrank", "tensordot", "unique", "unique_consecutive", "unravel_index",
)  # fmt: skip

__all__ = list(NAMES)


def __getattr__(name):
    if name in NAMES:
        return getattr(wengert, name)
    raise AttributeError(f"module 'wengert.functional' has no attribute '{name}'")
