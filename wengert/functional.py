"""``torch.functional``: those functions of `torch` that PyTorch writes in Python, under their other name."""

import wengert

_NAMES = """
    atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist chain_matmul
    einsum istft lu meshgrid norm pca_lowrank split stft svd_lowrank tensordot unique unique_consecutive unravel_index
    """
__all__ = _NAMES.split()  # noqa: PLE0605


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = getattr(wengert, name)
    return function


def __dir__():
    return sorted(__all__)
