"""``torch.sparse``: functions of tensors in coordinate form; other layouts are refused by name."""

from wengert.dtypes import BY_NAME as _dtypes
from wengert.ops.sparse import SparseTensor, spdiags
from wengert.ops.sparse import sparse_addmm as addmm
from wengert.ops.sparse import sparse_coo_tensor as _coo
from wengert.ops.sparse import sparse_log_softmax as log_softmax
from wengert.ops.sparse import sparse_mm as mm
from wengert.ops.sparse import sparse_softmax as softmax
from wengert.ops.sparse import sparse_sum as sum
from wengert.outside import outside

__all__ = ["SparseTensor", "addmm", "log_softmax", "mm", "softmax", "spdiags", "sum"]


def _constructor(name, dtype):
    """``torch.sparse.FloatTensor(indices, values, size)``: the older spelling of `sparse_coo_tensor`."""

    def make(*args):
        if args and all(isinstance(extent, int) for extent in args):
            return _coo(args, dtype=dtype)
        if len(args) > 1 and args[1].dtype is not dtype:
            raise TypeError(f"expected {name} (got {args[1].type()})")
        return _coo(*args, dtype=dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A sparse tensor of {dtype}: (indices, values), (indices, values, size) or (size)."
    return make


globals().update(
    {
        name: _constructor(name, _dtypes[dtype])
        for name, dtype in {
            "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16",
            "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16", "CharTensor": "int8",
            "ByteTensor": "uint8",
        }.items()
    }
)  # fmt: skip

__getattr__ = outside(__name__)
