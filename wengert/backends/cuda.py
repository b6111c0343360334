"""Whether CUDA is there: it is not."""

import warnings
from contextlib import contextmanager


class matmul:
    """Settings of CUDA's matrix products, kept for programs that set them; there are no such products here."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False
    fp32_precision = "none"


class cufft_plan_cache:
    """The cache of transforms' plans, which stays empty."""

    size, max_size = 0, 0

    @staticmethod
    def clear():
        """Nothing to forget."""


_attention = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built():
    """False."""
    return False


def is_flash_attention_available():
    """False."""
    return False


def flash_sdp_enabled():
    """Whether flash attention may be chosen: what was set last. Attention here is computed by the formula."""
    return _attention["flash"]


def mem_efficient_sdp_enabled():
    """The same for memory-efficient attention."""
    return _attention["mem_efficient"]


def math_sdp_enabled():
    """The same for the formula, which is what is computed."""
    return _attention["math"]


def cudnn_sdp_enabled():
    """The same for cuDNN's attention."""
    return _attention["cudnn"]


def enable_flash_sdp(enabled):
    """Set `flash_sdp_enabled`."""
    _attention["flash"] = bool(enabled)


def enable_mem_efficient_sdp(enabled):
    """Set `mem_efficient_sdp_enabled`."""
    _attention["mem_efficient"] = bool(enabled)


def enable_math_sdp(enabled):
    """Set `math_sdp_enabled`."""
    _attention["math"] = bool(enabled)


def enable_cudnn_sdp(enabled):
    """Set `cudnn_sdp_enabled`."""
    _attention["cudnn"] = bool(enabled)


@contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Set all four inside a ``with`` block (deprecated: see `torch.nn.attention.sdpa_kernel`)."""
    warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager will be removed. "
        "Please see `torch.nn.attention.sdpa_kernel()` for the new context manager, with updated signature.",
        FutureWarning,
        stacklevel=3,
    )
    before = dict(_attention)
    _attention.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield {}
    finally:
        _attention.update(before)
