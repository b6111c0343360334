"""Shapes and dtypes of all values of a graph, found by running it."""

from collections import namedtuple

import wengert
from wengert.fx.interpreter import Interpreter
from wengert.fx.node import map_aggregate
from wengert.tensor import Tensor

__all__ = ["ShapeProp", "TensorMetadata"]

TensorMetadata = namedtuple(
    "TensorMetadata", ["shape", "dtype", "requires_grad", "stride", "memory_format", "is_quantized", "qparams"]
)
FORMATS = (wengert.contiguous_format, wengert.channels_last, wengert.channels_last_3d)


def described(tensor):
    """What a node's ``meta["tensor_meta"]`` says of its value."""
    ranks = {wengert.channels_last: 4, wengert.channels_last_3d: 5}
    layout = next(
        (f for f in FORMATS if ranks.get(f, tensor.ndim) == tensor.ndim and tensor.is_contiguous(memory_format=f)), None
    )
    return TensorMetadata(tensor.shape, tensor.dtype, tensor.requires_grad, tensor.stride(), layout, False, {})


class ShapeProp(Interpreter):
    """Runs a module and writes each value's shape, dtype and strides into its node's ``meta["tensor_meta"]``."""

    def __init__(self, gm, fake_mode=None):
        if fake_mode is not None:
            raise NotImplementedError("ShapeProp(fake_mode=): wengert has no fake tensors; use device='meta'")
        super().__init__(gm)

    def run_node(self, n):
        result = super().run_node(n)
        found = []

        def describe(value):
            if isinstance(value, Tensor):
                found.append(value)
                return described(value)
            return value

        meta = map_aggregate(result, describe)
        if found:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args):
        """Run on these arguments; returns the result."""
        return super().run(*args)
