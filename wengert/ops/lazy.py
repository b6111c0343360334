"""Families of operations that load when one of their names is first asked for, as a function or as a method of Tensor.

A program pays for the declarations that it uses. The tables below are all that `import wengert` reads of these
families; the names of functions are those of `torch` itself (its submodules know their families).
"""

import importlib

from wengert.tensor import Tensor

FUNCTIONS = {
    "einsum": "einsum",
    "products": "tensordot inner kron chain_matmul cross cdist",
    "arrangement": """
        diag diag_embed diagflat trace block_diag atleast_1d atleast_2d atleast_3d hstack vstack row_stack
        dstack column_stack hsplit vsplit dsplit unsafe_split unsafe_split_with_sizes unsafe_chunk meshgrid
        cartesian_prod combinations tril_indices triu_indices unravel_index vander fliplr flipud rot90
        moveaxis repeat_interleave adjoint alias_copy as_strided_copy detach_copy diagonal_copy expand_copy
        narrow_copy permute_copy select_copy slice_copy split_copy split_with_sizes_copy squeeze_copy t_copy
        transpose_copy unbind_copy unfold_copy unsqueeze_copy view_copy view_as_complex_copy
        view_as_real_copy
        """,
    "comparison": "isclose allclose equal isreal aminmax heaviside heaviside_",
    "calculus": """
        trapezoid trapz cumulative_trapezoid diff gradient cov corrcoef renorm ldexp ldexp_ frexp polar
        complex quantile nanquantile
        """,
    "special": "digamma digamma_ lgamma lgamma_ polygamma mvlgamma erfinv erfinv_ i0 i0_ igamma igammac",
    "decompositions": """
        cholesky cholesky_inverse cholesky_solve det slogdet logdet inverse matrix_exp matrix_power pinverse
        qr svd lu lu_solve lu_unpack geqrf orgqr ormqr triangular_solve frobenius_norm nuclear_norm
        svd_lowrank pca_lowrank
        """,
    "inspection": """
        abs_ as_strided_ detach detach_ empty_permuted fill fill_ get_device nonzero_static resize_as_
        zero_
        """,
    "core_names": """
        binary_cross_entropy_with_logits kl_div poisson_nll_loss hinge_embedding_loss cosine_embedding_loss
        margin_ranking_loss triplet_margin_loss ctc_loss embedding_bag embedding_renorm_ grid_sampler
        grid_sampler_2d grid_sampler_3d affine_grid_generator native_layer_norm native_group_norm
        native_batch_norm norm_except_dim segment_reduce sym_int sym_float sym_not sym_max sym_min sym_sum
        sym_ite sym_sqrt eig symeig lstsq solve matrix_rank
        """,
    "sparse": """
        sparse_coo_tensor sparse_bsr_tensor sparse_bsc_tensor spmm smm
        """,
    "compressed": "sparse_csr_tensor sparse_csc_tensor sparse_compressed_tensor",
    "windows": "bartlett_window blackman_window hamming_window hann_window kaiser_window",
    "spectral": "stft istft",
}

METHODS = {
    "products": "inner kron cross",
    "arrangement": """
        diag diag_embed diagflat trace fill_diagonal_ hsplit vsplit dsplit unsafe_split
        unsafe_split_with_sizes unsafe_chunk fliplr flipud rot90 moveaxis repeat_interleave narrow_copy
        as_strided_ broadcast_to
        """,
    "comparison": "isclose allclose equal isreal aminmax heaviside heaviside_",
    "calculus": "diff cov corrcoef renorm renorm_ ldexp ldexp_ frexp quantile nanquantile",
    "special": """
        digamma digamma_ lgamma lgamma_ polygamma polygamma_ mvlgamma mvlgamma_ erfinv erfinv_ i0 i0_ igamma
        igamma_ igammac igammac_
        """,
    "decompositions": """
        cholesky cholesky_inverse cholesky_solve det slogdet logdet inverse matrix_exp matrix_power pinverse
        qr svd lu lu_solve geqrf orgqr ormqr triangular_solve
        """,
    "inspection": """
        apply_ map_ map2_ dim_order is_coalesced is_distributed is_nonzero is_pinned is_same_size
        nonzero_static pin_memory resize resize_as to_dense
        """,
    "sparse": """
        to_sparse to_sparse_coo to_sparse_bsr to_sparse_bsc sparse_mask smm sparse_dim dense_dim coalesce
        indices values _indices _values _nnz
        """,
    "compressed": "to_sparse_csr to_sparse_csc crow_indices col_indices ccol_indices row_indices",
    "spectral": "stft istft",
    "core_names": "eig symeig lstsq solve",
}

HOME = {name: family for family, names in FUNCTIONS.items() for name in names.split()}


class MethodOfFamily:
    """Stands for a method of Tensor until it is first looked up; loading the family puts the method in its place."""

    __slots__ = ("name", "family")

    def __init__(self, name, family):
        self.name = name
        self.family = family

    def __get__(self, tensor, owner=None):
        if Tensor.__dict__[self.name] is self:
            load(self.family)
        return getattr(owner if tensor is None else tensor, self.name)


def load(family):
    return importlib.import_module(f"wengert.ops.{family}")


def load_all():
    """Every family, for those who list what there is."""
    for family in FUNCTIONS:
        load(family)


for _family, _names in METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, MethodOfFamily(_name, _family))
