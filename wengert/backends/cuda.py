"""Whether CUDA is there: it is not. Which attention kernels may be used, of which the CPU needs none."""

import contextlib
import warnings


class matmul:
    """Settings of CUDA's matrix products, kept for programs that set them; there are no such products here."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


def is_built():
    """False."""
    return False


# --- which implementations of scaled_dot_product_attention may be chosen: settings that are kept, and read back ------

_allowed = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def _switch(kind):
    def enable(enabled):
        _allowed[kind] = bool(enabled)

    def is_enabled():
        return _allowed[kind]

    enable.__doc__ = f"Allow or forbid the {kind} implementation, which on a CPU changes no result."
    is_enabled.__doc__ = f"Whether the {kind} implementation is allowed."
    return enable, is_enabled


enable_flash_sdp, flash_sdp_enabled = _switch("flash")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = _switch("mem_efficient")
enable_math_sdp, math_sdp_enabled = _switch("math")
enable_cudnn_sdp, cudnn_sdp_enabled = _switch("cudnn")


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Set the four switches for the block (deprecated: see `torch.nn.attention.sdpa_kernel`)."""
    warnings.warn(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager will be removed. "
        "Please see `torch.nn.attention.sdpa_kernel()` for the new context manager, with updated signature.",
        FutureWarning,
        stacklevel=3,
    )
    before = dict(_allowed)
    _allowed.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield {}
    finally:
        _allowed.update(before)
