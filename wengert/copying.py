"""Copying and pickling tensors: what survives, and what stays shared.

A tensor is taken apart into its *root* (the array that owns the memory) and the place of its elements in it. Tensors on
one root share it again after a joint `pickle` or `copy.deepcopy`, because both remember objects they have already seen
(PyTorch's own pickles forget it). What survives besides: dtype, strides, class, attributes, requires_grad. The graph
does not: a pickled result comes back as a leaf, and deepcopy refuses it. Neither do hooks.
"""

import copy
import warnings

import numpy as np

from wengert.dtypes import BY_NAME
from wengert.kernels.shape import address, extent_of, root_of, strided_anywhere, strided_window
from wengert.tensor import Parameter, Tensor, wrap

# Entries of a tensor's dict that are the machinery's own.
INTERNAL = frozenset(
    {"_retained", "_view_kind", "_ended", "_is_param", "_detach", "_origin", "_is_number", "_uncalled_hooks"}
)


def _place(array):
    """(root, offset in bytes, shape, strides in bytes) of an array in the array that owns its memory.

    A root whose elements are not in one piece (borrowed from a NumPy view) is stood for by its bytes, gaps included.
    """
    root = root_of(array)
    offset = address(array) - address(root) if array.size else 0
    if not root.flags.forc:
        first = strided_window(root, (1,), (root.itemsize,)).view(np.uint8)
        root = strided_anywhere(first, (extent_of(root),), (1,))
    return root, offset, array.shape, array.strides


def _at(root, offset, shape, strides, dtype):
    """The array that lies in `root` as `_place` says."""
    memory = root.reshape(-1, order="A").view(np.uint8)
    return np.ndarray(shape, dtype, memory, offset, strides)


def attributes_of(tensor):
    """What users have set on a tensor, by name."""
    return {name: value for name, value in tensor.__dict__.items() if name not in INTERNAL}


def __getstate__(self):
    """The attributes to pickle; subclasses may override it, and `__setstate__` with it."""
    return attributes_of(self) or None


def warn_of_hooks(tensor):
    """Warn of each hook of a tensor that will not be pickled, unless it says that it knows."""
    for hook in (tensor._backward_hooks or {}).values():
        if not getattr(hook, "__torch_unserializable__", False):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can decorate the "
                "function with @torch.utils.hooks.unserializable_hook to suppress this warning",
                stacklevel=3,
            )


def __reduce_ex__(self, protocol):
    warn_of_hooks(self)
    return rebuild, (type(self), *_place(self._array), self.dtype.name, self.requires_grad), self.__getstate__()


def rebuild(kind, root, offset, shape, strides, dtype_name, requires_grad):
    """A tensor of class `kind` on the memory of `root`; what unpickling and `copy.copy` call."""
    element = BY_NAME[dtype_name]
    tensor = wrap(_at(root, offset, shape, strides, element.numpy), element)
    tensor.__class__ = kind
    return tensor.requires_grad_(requires_grad)


def __setstate__(self, state):
    """Take over the attributes that were pickled, or a state as old pickles hold it.

    Args:
        state: a dict of attributes; or (requires_grad, _, hooks), or (storage, offset, size, stride), or
            (data, _, hooks, requires_grad, _). Hooks are not restored.

    Raises:
        RuntimeError: this tensor is not a leaf.
        ValueError: another number of entries.
    """
    if isinstance(state, dict):
        for name, value in state.items():
            setattr(self, name, value)
        return
    if not self.is_leaf:
        raise RuntimeError("__setstate__ can be only called on leaf Tensors")
    if len(state) == 4:
        self.set_(*state)
        return
    if len(state) == 5:
        self.data = state[0]
        state = (state[3], state[4], state[2])
    requires_grad, _, _ = state
    self.requires_grad_(requires_grad)


def copy_of_memory(root, memo):
    """The copy of an array that owns its memory, the same for all that look at it."""
    own = memo.get(id(root))
    if own is None:
        own = memo[id(root)] = root.copy(order="A")
        memo.setdefault(id(memo), []).append(root)  # alive as long as its id stands in the memo
    return own


def __deepcopy__(self, memo):
    """A leaf with memory of its own, which it shares with the copies of the tensors that shared it here.

    Raises RuntimeError for a tensor that is not a leaf.
    """
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, "
            "see https://github.com/pytorch/pytorch/pull/103001"
        )
    root, offset, shape, strides = _place(self._array)
    own = copy_of_memory(root, memo)
    result = wrap(_at(own, offset, shape, strides, self._array.dtype), self.dtype)
    result.__class__ = type(self)
    memo[id(self)] = result
    if self.requires_grad:
        result.requires_grad_(True)
    if self.grad is not None:
        result.grad = copy.deepcopy(self.grad, memo)
    Tensor.__setstate__(result, copy.deepcopy(attributes_of(self), memo))
    return result


def deepcopy_parameter(self, memo):
    """A parameter with memory of its own, of the same class: without gradient and attributes, as in PyTorch."""
    if id(self) not in memo:
        alone = wrap(self._array.copy(order="K"), self.dtype)
        memo[id(self)] = type(self)(alone, self.requires_grad)
    return memo[id(self)]


for _method in (__getstate__, __reduce_ex__, __setstate__, __deepcopy__):
    setattr(Tensor, _method.__name__, _method)
Parameter.__deepcopy__ = deepcopy_parameter
