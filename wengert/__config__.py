"""``torch.__config__``: what this was built with, and how parallel it runs."""

import platform

import numpy as np

from wengert import settings, version

__all__ = ["parallel_info", "show"]


def show():
    """What computes here, in PyTorch's layout; one fact a line."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts = (
        f"wengert {version.wengert}, PyTorch {version.pytorch}'s API",
        f"Python {platform.python_version()}",
        f"NumPy {np.__version__}",
        f"BLAS: {blas['name']} {blas['version']}",
        "Build settings: USE_CUDA=0, USE_CUDNN=OFF, USE_MKL=OFF, USE_MPI=OFF, USE_NCCL=OFF",
    )
    return "\n".join(["PyTorch built with:", *(f"  - {fact}" for fact in facts), ""])


def parallel_info():
    """The numbers of threads."""
    return (
        f"ATen/Parallel:\n\tat::get_num_threads() : {settings.get_num_threads()}\n"
        f"\tat::get_num_interop_threads() : {settings.get_num_interop_threads()}\n"
    )
