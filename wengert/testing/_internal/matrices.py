"""Matrices of a given kind, to try linear algebra on."""

import math

import wengert
from wengert.testing import make_tensor

__all__ = [
    "make_fullrank_matrices_with_distinct_singular_values", "make_symmetric_matrices", "make_symmetric_pd_matrices",
    "noncontiguous_like", "random_fullrank_matrix_distinct_singular_value", "random_hermitian_matrix",
    "random_hermitian_pd_matrix", "random_hermitian_psd_matrix", "random_lowrank_matrix", "random_matrix",
    "random_square_matrix_of_rank", "random_symmetric_matrix", "random_symmetric_pd_matrix",
    "random_symmetric_psd_matrix", "random_well_conditioned_matrix",
]  # fmt: skip


def random_square_matrix_of_rank(size, rank, dtype=None, device="cpu"):
    """A `size` by `size` matrix of this rank."""
    u, s, vh = wengert.linalg.svd(wengert.randn(size, size, dtype=dtype, device=device))
    s[rank:] = 0
    s[:rank][s[:rank] == 0] = 1
    return (u * s) @ vh


def random_well_conditioned_matrix(*shape, dtype, device="cpu", mean=1.0, sigma=0.001):
    """Matrices whose singular values lie about `mean`, so that they can be inverted safely."""
    u, _, vh = wengert.linalg.svd(make_tensor(shape, dtype=dtype, device=device), full_matrices=False)
    count = min(shape[-2:])
    values = make_tensor((*shape[:-2], count), dtype=dtype, device=device)
    return (u * (values * sigma + mean)[..., None, :].to(dtype)) @ vh


def random_symmetric_matrix(size, *batch, dtype=None, device="cpu"):
    a = wengert.randn(*batch, size, size, dtype=dtype, device=device)
    return (a + a.mT).div_(2)


def random_symmetric_psd_matrix(size, *batch, dtype=None, device="cpu"):
    a = wengert.randn(*batch, size, size, dtype=dtype, device=device)
    return a @ a.mT


def random_symmetric_pd_matrix(size, *batch, dtype=None, device="cpu"):
    a = wengert.randn(*batch, size, size, dtype=dtype, device=device)
    return a @ a.mT + wengert.eye(size, dtype=dtype, device=device) * 1e-5


def random_hermitian_matrix(size, *batch, dtype=None, device="cpu"):
    a = wengert.randn(*batch, size, size, dtype=dtype, device=device)
    return (a + a.mH).div_(2)


def random_hermitian_psd_matrix(size, *batch, dtype=None, device="cpu"):
    a = wengert.randn(*batch, size, size, dtype=dtype, device=device)
    return a @ a.mH


def random_hermitian_pd_matrix(size, *batch, dtype=None, device="cpu"):
    a = wengert.randn(*batch, size, size, dtype=dtype, device=device)
    return a @ a.mH + wengert.eye(size, dtype=dtype, device=device)


def make_symmetric_matrices(*shape, device, dtype):
    a = make_tensor(shape, device=device, dtype=dtype)
    return (a + a.mT).div_(2)


def make_symmetric_pd_matrices(*shape, device, dtype):
    a = make_tensor(shape, device=device, dtype=dtype)
    return a @ a.mT + wengert.eye(shape[-1], device=device) * 1e-5


def make_fullrank_matrices_with_distinct_singular_values(*shape, device, dtype, requires_grad=False):
    """Matrices of full rank whose singular values are 1 to 1 + k apart, so that decompositions have derivatives."""
    with wengert.no_grad():
        u, _, vh = wengert.linalg.svd(make_tensor(shape, device=device, dtype=dtype), full_matrices=False)
        count = min(shape[-2:])
        values = wengert.arange(2.0, 2.0 + count, device=device)
        values[1::2].mul_(-1.0) if not u.is_complex() else None
        x = (u * (1 + 1 / values).to(u.dtype)) @ vh
    return x.requires_grad_(requires_grad)


def random_fullrank_matrix_distinct_singular_value(matrix_size, *batch_dims, dtype=None, device="cpu", silent=False):
    """Square matrices of full rank with distinct singular values."""
    a = wengert.randn(*batch_dims, matrix_size, matrix_size, dtype=dtype, device=device)
    u, _, vh = wengert.linalg.svd(a, full_matrices=False)
    values = wengert.arange(1, matrix_size + 1, device=device).to(u.dtype) / (matrix_size + 1)
    return (u * values) @ vh


def random_matrix(rows, columns, *batch_dims, dtype=None, device="cpu", singular=False, silent=False):
    """Matrices with distinct singular values between 0 and 1; the least is 0 where `singular`."""
    a = wengert.randn(*batch_dims, rows, columns, dtype=dtype, device=device)
    if 0 in (rows, columns):
        return a
    u, _, vh = wengert.linalg.svd(a, full_matrices=False)
    count = min(rows, columns)
    values = wengert.linspace(1 / (count + 1), count / (count + 1), count, device=device).to(u.dtype)
    if singular:
        values[0] = 0
    return (u * values) @ vh


def random_lowrank_matrix(rank, rows, columns, *batch_dims, dtype=None, device="cpu"):
    left = random_matrix(rows, rank, *batch_dims, dtype=dtype, device=device)
    return left @ random_matrix(rank, columns, *batch_dims, dtype=dtype, device=device)


def noncontiguous_like(tensor):
    """A tensor of equal values whose last elements do not lie side by side."""
    if not tensor.is_contiguous() or tensor.numel() < 2:
        return tensor
    if tensor.ndim > 1 and min(tensor.stride()) and math.prod(tensor.shape):
        result = tensor.detach().unsqueeze(-1).repeat_interleave(2, dim=-1)[..., 1]
    else:
        result = tensor.detach().repeat_interleave(2, dim=-1)[..., ::2]
    result.requires_grad = tensor.requires_grad
    return result
