"""The few names of this module that are not operator databases."""

from wengert.dtypes import bool_
from wengert.ops.creation import as_tensor
from wengert.ops.random import randn

DATABASES = """
    op_db unary_ufuncs binary_ufuncs reduction_ops shape_funcs spectral_funcs foreach_unary_op_db foreach_binary_op_db
    foreach_pointwise_op_db foreach_reduce_op_db foreach_other_op_db sparse_unary_ufuncs sparse_reduction_ops
    """


def mask_not_all_zeros(shape):
    """A random mask of this shape with at least one True."""
    while True:
        mask = randn(shape).gt(0)
        if mask.any():
            return mask


def bernoulli_scalar():
    return as_tensor(0, dtype=bool_).bernoulli_()


def __getattr__(name):
    if name in DATABASES.split():
        raise ImportError(f"{__name__}.{name}: wengert has no operator database")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
