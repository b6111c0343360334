"""Which operations autocast touches, and in what precision each of them runs: PyTorch's lists for the CPU, as data.

Names are those under which operations are declared (`wengert.ops`). Where PyTorch builds an operation from others than
ours does, the names that are ours stand beside the listed ones.
"""



def names(text):
    return frozenset(text.split())


LOWER_PRECISION = names(
    """
    mm bmm addmm baddbmm addbmm matmul vecdot linear
    batched_matmul chain_matmul multi_dot lstm
    conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution
    prelu scaled_dot_product_attention
    """
)

SINGLE_PRECISION = names(
    """
    avg_pool3d adaptive_avg_pool3d max_pool3d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d
    max_unpool1d max_unpool2d max_unpool3d grid_sample
    reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d replication_pad3d
    l1_loss mse_loss smooth_l1_loss huber_loss nll_loss cross_entropy cross_entropy_of_classes mse
    binary_cross_entropy binary_cross_entropy_with_logits kl_div poisson_nll_loss ctc_loss
    hinge_embedding_loss cosine_embedding_loss margin_ranking_loss soft_margin_loss triplet_margin_loss
    multi_margin_loss multilabel_margin_loss
    cdist trace prod polar view_as_complex quantile nanquantile stft
    fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn
    cholesky cholesky_ex cholesky_inverse cholesky_solve cond eig eigh eigvals eigvalsh geqrf householder_product
    inv inv_ex inverse lstsq lu_solve matrix_rank orgqr ormqr pinverse qr solve svd svdvals tensorinv tensorsolve
    triangular_solve
    """
)

WIDEST = frozenset({"cat", "stack", "index_copy"})

# Built from products here, but not in PyTorch: what they call is left alone.
AS_GIVEN = frozenset({"bilinear"})
