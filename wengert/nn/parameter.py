"""Tensors that a Module takes note of when they are assigned to it.

`Parameter` (defined with `Tensor`, which it is but for the mark) and `Buffer` are Tensors with a mark, no more: all
their operations return plain Tensors. Uninitialized ones stand for tensors whose shape the first forward pass of a lazy
module will tell.
"""

import wengert
from wengert.tensor import Parameter, ParameterMeta, Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]

_ParameterMeta = ParameterMeta  # libraries derive classes of parameters from it


class _BufferMeta(type(Tensor)):
    """`isinstance(t, Buffer)` holds for any Tensor that is marked as one."""

    def __instancecheck__(cls, instance):
        if type.__instancecheck__(cls, instance):
            return True
        return cls is Buffer and isinstance(instance, Tensor) and instance.__dict__.get("_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A Tensor that belongs to a Module's state without being trained.

    Arguments: `data`, any Tensor (default: an empty one); `persistent`, whether `state_dict` contains it.
    """

    def __new__(cls, data=None, *, persistent=True):
        data = wengert.empty(0) if data is None else data
        buffer = data.detach().requires_grad_(data.requires_grad)
        buffer._is_buffer = True
        buffer.persistent = persistent
        return buffer


_UNREADABLE = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` "
    "when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the "
    "parameters before accessing their attributes."
)


class UninitializedTensorMixin:
    """What uninitialized parameters and buffers share: they know dtype and device, and take a shape once."""

    __slots__ = ()

    cls_to_become = None

    def materialize(self, shape, device=None, dtype=None):
        """Turn into a real tensor of `shape` (values undefined) in place: references to it stay valid."""
        self.data = wengert.empty(
            shape,
            device=self.data.device if device is None else device,
            dtype=self.data.dtype if dtype is None else dtype,
        )
        self.__class__ = self.cls_to_become

    @property
    def shape(self):
        raise RuntimeError(_UNREADABLE)

    def share_memory_(self):
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. "
            "Call `forward` to initialize the parameters before calling `module.share_memory()`."
        )

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad,)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        if name in _ALLOWED_BEFORE_SHAPE:
            return Tensor.__torch_function__.__func__(cls, func, types, args, kwargs)
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. This error happens when you are using a "
            f"`LazyModule` or explicitly manipulating `torch.nn.parameter.{cls.__name__}` objects. When using "
            "LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions"
        )


_ALLOWED_BEFORE_SHAPE = frozenset(
    (
        "__get__",
        "__hash__",
        "__set__",
        "bfloat16",
        "char",
        "copy_",
        "cpu",
        "cuda",
        "data",
        "detach",
        "device",
        "double",
        "dtype",
        "float",
        "grad",
        "grad_fn",
        "half",
        "int",
        "is_complex",
        "is_floating_point",
        "is_leaf",
        "long",
        "requires_grad",
        "requires_grad_",
        "short",
        "to",
        "to_copy",
        "type",
    )
)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A Parameter whose shape is not known yet."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return Tensor._make_subclass(cls, wengert.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A Buffer whose shape is not known yet."""

    cls_to_become = Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        buffer = Tensor._make_subclass(cls, wengert.empty(0, device=device, dtype=dtype), requires_grad)
        buffer._is_buffer = True
        buffer.persistent = persistent
        return buffer


def is_lazy(tensor):
    """Whether `tensor` is still waiting for its shape."""
    return isinstance(tensor, UninitializedTensorMixin)
