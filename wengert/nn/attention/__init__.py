"""``torch.nn.attention``: which implementations `scaled_dot_product_attention` may use.

Here there is one, the formula itself (`SDPBackend.MATH`, which on a CPU PyTorch's fused kernels agree with to
rounding), so a choice among several changes nothing; excluding all that a CPU could run is an error as in PyTorch.
"""

import contextlib
import enum
from collections.abc import Iterable

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """The implementations that PyTorch has."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


ON_CPU = {SDPBackend.MATH, SDPBackend.FLASH_ATTENTION}


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Allow only these implementations within the block (also a decorator).

    Args:
        backends: an `SDPBackend` or several.
        set_priority: whether their order says which to prefer; with a single implementation it says nothing.

    Raises:
        AssertionError: `backends` is something else.
        RuntimeError: none of them runs on a CPU.
    """
    several = isinstance(backends, Iterable) and not isinstance(backends, str)
    chosen = list(backends) if several else [backends]
    if not all(isinstance(backend, SDPBackend) for backend in chosen):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, "
            f"got {type(backends).__name__}"
        )
    if not ON_CPU.intersection(chosen):
        raise RuntimeError(
            "No viable backend for scaled_dot_product_attention was found. This is likely due to turning off both the "
            "math kernel and the fused kernels."
        )
    yield {}
