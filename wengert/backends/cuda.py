"""Whether CUDA is there: it is not."""


class matmul:
    """Settings of CUDA's matrix products, kept for programs that set them; there are no such products here."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


def is_built():
    """False."""
    return False

