"""``torch.backends``, answering truthfully: what this build can use, which is NumPy and its BLAS.

Settings that programs make for libraries which are not here are kept, so that they can be asked for again; they choose
nothing.
"""

from wengert.backends import (
    cpu,
    cuda,
    cudnn,
    cusparselt,
    mha,
    mkl,
    mkldnn,
    mps,
    nnpack,
    openmp,
    opt_einsum,
    quantized,
    xnnpack,
)

__all__ = [
    "cpu", "cuda", "cudnn", "cusparselt", "mha", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "quantized",
    "xnnpack",
]  # fmt: skip


def disable_global_flags():
    """Keep settings from being changed outside of `flags`: they choose nothing, so nothing has to be kept from it."""


def flags_frozen():
    """False."""
    return False
