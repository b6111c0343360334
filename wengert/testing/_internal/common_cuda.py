"""CUDA, as tests ask about it: there is none."""

import contextlib

from wengert.testing._internal.platforms import passing

ABSENT = """
    TEST_CUDA TEST_MULTIGPU TEST_CUDNN TEST_CUSPARSE_GENERIC TEST_MAGMA TEST_NUMBA_CUDA SM50OrLater SM53OrLater
    SM60OrLater SM70OrLater SM75OrLater SM80OrLater SM89OrLater SM90OrLater SM100OrLater IS_JETSON IS_SM89 IS_SM90
    PLATFORM_SUPPORTS_BF16 PLATFORM_SUPPORTS_FLASH_ATTENTION PLATFORM_SUPPORTS_MEM_EFF_ATTENTION
    PLATFORM_SUPPORTS_CUDNN_ATTENTION PLATFORM_SUPPORTS_FUSED_ATTENTION PLATFORM_SUPPORTS_FUSED_SDPA
    PLATFORM_SUPPORTS_FP8 CUDA11OrLater
    """
globals().update(dict.fromkeys(ABSENT.split(), False))
TEST_CUDNN_VERSION = 0
CUDA_DEVICE = None


def tf32_is_not_fp32():
    return False


def tf32_on_and_off(tf32_precision=1e-5, only_if=True):
    return passing


def tf32_off():
    return contextlib.nullcontext()


tf32_on = tf32_off
with_tf32_off = passing


def _get_torch_cuda_version():
    return (0, 0)


def initialize_cuda_context_rng():
    """Nothing to initialise."""
