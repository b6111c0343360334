"""What a tensor is and where it lies; Python functions of its elements; methods under the names of functions."""

import numpy as np

from wengert.absent import named
from wengert.autograd import views
from wengert.dtypes import SCALAR_NAMES
from wengert.ops.creation import empty
from wengert.ops.shape import expand
from wengert.tensor import Tensor, wrap

# --- questions --------------------------------------------------------------------------------------------------------


def is_nonzero(self):
    """Whether the only element is not 0."""
    return bool(self)


def is_same_size(self, other):
    """Whether `other` has the same shape."""
    return self.shape == other.shape


def is_pinned(self, device=None):
    """Whether the memory is locked for copies to an accelerator; False."""
    return False


def is_distributed(self):
    """False."""
    return False


def is_coalesced(self):
    """Refused: only sparse tensors are coalesced."""
    raise RuntimeError("is_coalesced expected sparse coordinate tensor layout but got Strided")


def pin_memory(self, device=None):
    """Refused: there is no accelerator to lock memory for."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def dim_order(self, *, ambiguity_check=False):
    """The dimensions from the one with the longest strides to the one with the shortest."""
    if ambiguity_check:
        raise NotImplementedError("dim_order(): ambiguity_check is not supported")
    strides = self.stride()
    return tuple(sorted(range(self.ndim), key=lambda d: -strides[d]))


def to_dense(self, dtype=None, *, masked_grad=True):
    """This tensor itself, as `dtype`: it is dense."""
    return self if dtype is None else self.to(dtype)


def resize(self, *sizes):
    """A tensor of another shape over the same elements, which are as many."""
    return self.contiguous().view(*sizes)


def resize_as(self, other):
    """`resize` to the shape of `other`."""
    return resize(self, *other.shape)


# --- Python functions of elements -------------------------------------------------------------------------------------


def refuse_recorded(name, tensors):
    for tensor in tensors:
        if tensor.requires_grad:
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
            )


def with_elements(name, function, *tensors):
    """Overwrite the first tensor with a Python function of the elements of all."""
    refuse_recorded(name, tensors)
    target = tensors[0]
    for other in tensors[1:]:
        if other.dtype is not target.dtype:
            raise TypeError(
                f"{name}: expected a tensor of {SCALAR_NAMES[target.dtype]} but got {SCALAR_NAMES[other.dtype]}"
            )
    others = [expand(t.detach(), target._array.shape)._array for t in tensors[1:]]
    results = [
        function(*(x.item() for x in values))
        for values in zip(*(a.flat for a in (target._array, *others)), strict=True)
    ]
    target._array[...] = np.array(results).reshape(target._array.shape).astype(target._array.dtype)
    views.bump(target)
    return target


def apply_(self, callable):
    """Replace every element by ``callable(element)``; slow."""
    return with_elements("apply_", callable, self)


def map_(self, tensor, callable):
    """Replace every element by ``callable(element, other)``; slow."""
    return with_elements("map_", callable, self, tensor)


def map2_(self, x, y, callable):
    """Replace every element by ``callable(element, of x, of y)``; slow."""
    return with_elements("map2_", callable, self, x, y)


def nonzero_static(input, *, size, fill_value=-1):
    """The coordinates of the first `size` elements that are not 0, filled up with `fill_value`: (size, input.ndim)."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = np.argwhere(input._array)[:size]
    result = np.full((size, found.shape[1]), fill_value, np.int64)
    result[: len(found)] = found
    return wrap(result)


# --- functions --------------------------------------------------------------------------------------------------------


def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Unfilled, its dimensions laid out in memory in the order `physical_layout`."""
    if len(size) != len(physical_layout):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = "
            f"{len(size)} is not equal to len(physical_layout) = {len(physical_layout)}"
        )
    for at, d in enumerate(physical_layout):
        if not 0 <= d < len(size):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(size) - 1}, but got {d} at index {at}). "
                "Dimensions count from the first here, never from the last."
            )
        if d in physical_layout[:at]:
            raise RuntimeError("Duplicate dim not allowed")
    made = empty([size[d] for d in physical_layout], dtype=dtype, layout=layout, device=device, pin_memory=pin_memory)
    return (
        made.permute([list(physical_layout).index(d) for d in range(len(size))]).detach().requires_grad_(requires_grad)
    )


def fill(input, value):
    """A tensor like `input` with every element `value`."""
    return input.clone().fill_(value)


def under_function_name(method):
    def function(input, *args, **kwargs):
        return getattr(input, method)(*args, **kwargs)

    return named(function, "wengert", method, f"``input.{method}(...)``.")


for _name in ("abs_", "as_strided_", "detach", "detach_", "fill_", "get_device", "resize_as_", "zero_"):
    globals()[_name] = under_function_name(_name)
for _function in (
    apply_,
    map_,
    map2_,
    dim_order,
    is_coalesced,
    is_distributed,
    is_nonzero,
    is_pinned,
    is_same_size,
    nonzero_static,
    pin_memory,
    resize,
    resize_as,
    to_dense,
):
    setattr(Tensor, _function.__name__, _function)
