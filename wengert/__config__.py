"""``torch.__config__``: what this build computes with."""

import platform

import numpy as np

from wengert import version

__all__ = ["parallel_info", "show"]


def show():
    """A text about versions and libraries."""
    return (
        f"wengert {version.wengert}, in the place of PyTorch {version.pytorch}, built with:\n"
        f"  - Python {platform.python_version()}\n  - NumPy {np.__version__}\n"
    )


def parallel_info():
    """A text about threads."""
    from wengert.settings import get_num_threads

    return f"wengert:\n\ttorch.get_num_threads() : {get_num_threads()}\n"
