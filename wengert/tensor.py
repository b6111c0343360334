"""Tensor: an array, and its place in the graph.

A tensor is five slots. `_array` is the strided NumPy array; `dtype` its element type. `_node` is where gradients go:
None (no gradient), an `AccumulateGrad` (a leaf), or the node of the operation that made it. `_counter` is the version
counter that all aliases of the memory share, or None while there has been neither an alias nor a write. `_base` is the
tensor of which this one is a view. Everything else a tensor can do is attached from above: operations by their
declarations (`wengert.ops`), `backward` by the engine (`wengert.autograd`).
"""

import math
import weakref

import numpy as np

from wengert import outside
from wengert.autograd.graph import (
    INFERENCE,
    AccumulateGrad,
    Node,
    Output,
    Version,
    add_hook,
    grad_mode,
    hooks_of,
    next_seq,
    rare,
    warn_non_leaf_grad,
)
from wengert.devices import cpu
from wengert.dtypes import FROM_NUMPY, SCALAR_NAMES, TENSOR_TYPE_NAMES, default, strided
from wengert.kernels import choices
from wengert.size import Size

NOTICED = choices.POINTWISE
new = object.__new__
new_size = tuple.__new__  # a NumPy shape needs no checking


class Tensor:
    """A multi-dimensional array of one dtype that remembers how it was computed."""

    __slots__ = ("_array", "dtype", "_node", "_counter", "_base", "__weakref__", "__dict__")

    # Rarely set, so kept in the instance's dict; these are the values until then.
    _retained = None  # the .grad of a tensor that does not require grad, or that retains it
    _uncalled_hooks = None  # set as `_backward_hooks` where no gradient comes
    _detached_at = None  # when `detach_` cut it: what had kept it before can't find its place in the graph any more
    _is_number = False  # an operand that was a number
    _ended = None  # its node while it was a leaf that required grad, weakly
    _view_kind = None  # "no_grad", "inference", "multi", "custom": views that in-place operations treat with care
    _origin = None  # the site that made it, while `wengert.lens` records
    name = None
    names_ = None

    __hash__ = object.__hash__
    __array_priority__ = 1000

    def __new__(cls, *args, **kwargs):
        return construct(cls, *args, **kwargs)

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def shape(self):
        """The extent of each dimension, as a `Size`."""
        return new_size(Size, self._array.shape)

    def size(self, dim=None):
        """The shape, or the extent of dimension `dim`; raises IndexError where there is no such dimension."""
        if dim is None:
            return new_size(Size, self._array.shape)
        return self._array.shape[wrap_dim(dim, self._array.ndim)]

    @property
    def ndim(self):
        return self._array.ndim

    def dim(self):
        """The number of dimensions."""
        return self._array.ndim

    ndimension = dim

    def numel(self):
        """The number of elements."""
        return self._array.size

    nelement = numel

    def __len__(self):
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    def stride(self, dim=None):
        """Steps in elements from one element to the next along each dimension, or along `dim`."""
        strides = strides_of(self._array)
        return strides if dim is None else strides[wrap_dim(dim, len(strides))]

    def element_size(self):
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def itemsize(self):
        return self.dtype.itemsize

    @property
    def nbytes(self):
        return self._array.nbytes

    @property
    def device(self):
        return cpu

    @property
    def layout(self):
        return strided

    def get_device(self):
        return -1

    @property
    def volatile(self):
        """Once, whether gradients were off; `no_grad` took its place."""
        import warnings

        warnings.warn("volatile was removed (Variable.volatile is always False)", UserWarning, stacklevel=2)
        return False

    def is_floating_point(self):
        return self.dtype.is_floating_point

    def is_complex(self):
        return self.dtype.is_complex

    def is_signed(self):
        return self.dtype.is_signed

    def is_inference(self):
        return self._counter is INFERENCE

    def is_conj(self):
        return False

    def is_neg(self):
        return False

    def is_pinned(self, device=None):
        return False

    is_cpu = True
    is_cuda = is_meta = is_sparse = is_sparse_csr = is_quantized = is_nested = is_mps = is_xpu = is_mkldnn = False
    is_xla = is_ipu = is_vulkan = is_maia = is_mtia = False

    def type(self, dtype=None, non_blocking=False):
        """The name of the tensor's type (``torch.FloatTensor``), or the tensor converted to `dtype`."""
        if dtype is None:
            return TENSOR_TYPE_NAMES[self.dtype]
        if isinstance(dtype, str):
            by_name = {name: t for t, name in TENSOR_TYPE_NAMES.items()}
            if dtype not in by_name:
                raise ValueError(f"invalid type: '{dtype}'")
            dtype = by_name[dtype]
        return self.to(dtype=default.dtype if dtype is Tensor else getattr(dtype, "dtype", dtype))

    def data_ptr(self):
        """The address of the first element; 0 for an empty tensor."""
        return data_ptr(self._array) if self._array.size else 0

    # --- its place in the graph -------------------------------------------------------------------------------------

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded; a view made where nothing was recorded says what its base
        says."""
        if self._node is not None or self._base is None:
            return self._node is not None
        return self._base._node is not None and self._counter is not INFERENCE

    @requires_grad.setter
    def requires_grad(self, value):
        if value and self._node is not None and type(self._node) is not AccumulateGrad:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        self.requires_grad_(value)

    @requires_grad.deleter
    def requires_grad(self):
        raise RuntimeError("requires_grad must be a bool")

    def requires_grad_(self, requires_grad=True):
        """Start (or end) the recording of operations on this leaf, and return it.

        Raises RuntimeError for a dtype without derivatives, and when asked to end recording on a tensor that is not
        a leaf.
        """
        node = before = self._node
        if requires_grad:
            if node is None or node.hidden:
                if not self.dtype.differentiable:
                    raise RuntimeError("only Tensors of floating point dtype can require gradients")
                if self._counter is INFERENCE and not grad_mode.inference:
                    raise RuntimeError(
                        "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
                    )
                self._node = node = self._end_again() or AccumulateGrad(self)
                if self._retained is not None:
                    node.grad, self._retained = self._retained, None
        elif type(node) is AccumulateGrad:
            if not node.hidden:
                self._end_no_more(node)
        elif node is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in "
                "a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if self._counter is not None and self._counter.views:
            self._tell_views()
        if rare.active:
            for observe in rare.on_result:
                observe("requires_grad_", (self,), bool(requires_grad), before)
        return self

    def _end_no_more(self, node):
        """Graphs that end in this leaf give it no gradients any more."""
        self._node, self._retained, self._ended = None, node.grad, weakref.ref(node)
        node.grad, node.deaf = None, True

    def _end_again(self):
        """The node in which older graphs end, if there are any: they find this leaf requiring grad again."""
        node = None if self._ended is None else self._ended()
        if node is not None and node._array is self._array:
            node.deaf = False
            return node
        return None

    @property
    def is_leaf(self):
        """Whether no recorded operation made this tensor."""
        node = self._node
        return node is None or type(node) is AccumulateGrad

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor; None for a leaf."""
        node = self._node
        kind = type(node)
        if kind is Output:
            return node.parent
        if kind is not AccumulateGrad and getattr(node, "refusal", None):
            raise RuntimeError(node.refusal)
        return None if kind is AccumulateGrad else node

    @property
    def _grad_fn(self):
        return self.grad_fn

    @_grad_fn.setter
    def _grad_fn(self, value):
        if value is not None:
            raise TypeError("_grad_fn can be only set to None")
        self.detach_()

    @_grad_fn.deleter
    def _grad_fn(self):
        raise RuntimeError("Deletion of _grad_fn not allowed. Detach tensor instead!")

    @property
    def output_nr(self):
        return getattr(self._node, "nr", 0)

    @property
    def grad(self):
        """The accumulated gradient of this leaf (or of a tensor that retains it), or None."""
        node = self._node
        if type(node) is AccumulateGrad:
            return node.grad
        if node is not None and self._retained is None and not self.retains_grad:
            warn_non_leaf_grad()
        return self._retained

    @grad.setter
    def grad(self, value):
        if value is not None:
            self._check_grad(value)
        node = self._node
        if type(node) is AccumulateGrad:
            node.grad = value
        else:
            self._retained = value

    @grad.deleter
    def grad(self):
        self.grad = None

    @property
    def _grad(self):
        """`grad`, asked for without a warning."""
        node = self._node
        return node.grad if type(node) is AccumulateGrad else self._retained

    @_grad.setter
    def _grad(self, value):
        self.grad = value

    def _check_grad(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if value.dtype is not self.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{SCALAR_NAMES[value.dtype].lower()}' to a tensor with "
                "grad_dtype "
                f"'{SCALAR_NAMES[self.dtype]}'. The gradient must match the tensor's grad_dtype (defaults to the "
                "tensor's dtype)."
            )
        if value._array.shape != self._array.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
                f"'{list(self.shape)}'. Please "
                "ensure that the gradient and the tensor are the same size"
            )

    def detach(self):
        """The same memory outside the graph: no `grad_fn`, no `requires_grad`; writes are seen by both."""
        if rare.active or type(self) is not Tensor:
            return detach_rarely(self)
        counter = self._counter
        if counter is None:
            counter = self._counter = Version()
        alias = new(Tensor)
        alias._array = self._array
        alias.dtype = self.dtype
        alias._node = alias._base = None
        alias._counter = counter
        return alias

    def detach_(self):
        """Cut this very tensor out of the graph: it becomes a leaf that does not require grad; returns it."""
        if self._base is not None:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
                "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence "
                "detach_() cannot be called on these gradients. To fix this error, please refer to the "
                "Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution."
            )
        node = self._node
        if type(node) is AccumulateGrad:
            self._end_no_more(node)
        elif node is not None:
            self._node, self._detached_at = None, next_seq()
        if self._counter is not None and self._counter.views:
            self._tell_views()
        if rare.active:
            for observe in rare.on_result:
                observe("detach_", (self,), self, node)
        return self

    @property
    def data(self):
        """The same memory with a version counter of its own, so that writes through it escape autograd's notice."""
        alias = wrap(self._array, self.dtype)
        if type(self) is not Tensor and not issubclass(type(self), Parameter):
            alias.__class__ = type(self)
        if rare.active:
            for observe in rare.on_result:
                observe("data", (self,), alias, self._node)
        return alias

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if value.is_sparse != self.is_sparse:
            raise RuntimeError(
                "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have incompatible tensor "
                "type."
            )
        if self.dtype is not value.dtype and self._node is not None and not value.dtype.differentiable:
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        self._array, self.dtype = value._array, value.dtype
        node = self._node
        if type(node) is AccumulateGrad:
            node.shape, node._array, node._dtype = value._array.shape, value._array, value.dtype

    @data.deleter
    def data(self):
        raise RuntimeError("Deleting tensor data is not allowed. Delete tensor instead!")

    @property
    def _version(self):
        """How often the memory of this tensor was written in place, through any alias."""
        counter = self._counter
        if counter is INFERENCE:
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if counter is None else counter.value

    def _is_view(self):
        return self._base is not None

    def register_hook(self, hook):
        """Call ``hook(grad)`` when this tensor's gradient has been computed; what it returns replaces the gradient.

        Returns a handle with ``remove()``. Raises RuntimeError for a tensor that does not require grad.
        """
        if self._node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return add_hook(hooks_of(self._node).tensor, hook)

    def module_load(self, other, assign=False):
        """What `Module.load_state_dict` puts in this tensor's place: `other`, or this tensor with its values."""
        from wengert import overrides

        if overrides.has_torch_function_variadic(self, other):
            return overrides.handle_torch_function(Tensor.module_load, (self, other), self, other, assign=assign)
        return other.detach() if assign else self.copy_(other).detach()

    def register_post_accumulate_grad_hook(self, hook):
        """Call ``hook(tensor)`` after backward changed this leaf's `.grad`. Returns a handle with ``remove()``."""
        if self._node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if type(self._node) is not AccumulateGrad:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return add_hook(hooks_of(self._node).post_accumulate, hook)

    @property
    def _backward_hooks(self):
        if self._node is None:
            return self._uncalled_hooks
        hooks = self._node.hooks
        return hooks.tensor if hooks is not None and hooks.tensor else None

    @_backward_hooks.setter
    def _backward_hooks(self, hooks):
        if self._node is None:
            self._uncalled_hooks = hooks
        else:
            hooks_of(self._node).tensor = {} if hooks is None else hooks

    @_backward_hooks.deleter
    def _backward_hooks(self):
        raise RuntimeError("Deletion of _backwards_hooks not allowed!")

    def retain_grad(self):
        """Keep this non-leaf's gradient in `.grad` during backward."""
        if self._node is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if type(self._node) is not AccumulateGrad:
            from weakref import ref

            hooks_of(self._node).retain = ref(self)

    @property
    def retains_grad(self):
        node = self._node
        if node is None or type(node) is AccumulateGrad or node.hooks is None or node.hooks.retain is None:
            return False
        return node.hooks.retain() is self

    # --- subclasses -------------------------------------------------------------------------------------------------

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Run `func` on tensors of this subclass and give its results this class; subclasses may override."""
        from wengert import overrides

        return overrides.default_torch_function(cls, func, types, args, kwargs or {})

    def as_subclass(self, cls):
        """This tensor as an instance of `cls`, a subclass of Tensor, sharing memory and graph."""
        if not (isinstance(cls, type) and issubclass(cls, Tensor)):
            raise TypeError("cls must be a type (not an instance) that is a subclass of Tensor")
        from wengert import overrides

        with overrides.DisableTorchFunctionSubclass():
            alias = self.view_as(self)
        return of_class(alias, cls)

    @staticmethod
    def _make_subclass(kind, data, require_grad=False):
        """An instance of the class `kind` on the memory of `data`, outside the graph."""
        alias = of_class(detach_plain(data), kind)
        return alias.requires_grad_(True) if require_grad else alias


Tensor.__module__ = "wengert"


class ParameterMeta(type(Tensor)):
    """Lets ``isinstance(t, Parameter)`` hold for tensors of other classes that are marked as parameters."""

    def __instancecheck__(self, instance):
        if self is Parameter and isinstance(instance, Tensor) and instance.__dict__.get("_is_param", False):
            return True
        return type.__instancecheck__(self, instance)


class Parameter(Tensor, metaclass=ParameterMeta):
    """A tensor that is a parameter of a module: a leaf that requires grad unless told otherwise.

    Args:
        data: the tensor whose memory it takes (default: an empty one).
        requires_grad: whether gradients are accumulated in it.
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = wrap(np.empty((0,), np.float32), FROM_NUMPY[np.dtype(np.float32)])
        if type(data) is not Tensor and type(data) is not Parameter:
            alias = detach_plain(data)
            if isinstance(data, Tensor) and type(data) is not cls:
                alias.__class__ = type(data)
                alias._is_param = True
                return alias.requires_grad_(requires_grad)
        else:
            alias = detach_plain(data)
        alias.__class__ = cls
        if rare.active:
            for observe in rare.on_result:
                observe("Parameter", (data,), alias, data._node)
        return alias.requires_grad_(requires_grad)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


Parameter.__module__ = "wengert.nn.parameter"


def construct(cls, *args, **kwargs):
    """``Tensor(...)``; replaced by `wengert.ops.creation`, which knows how tensors are made."""
    raise NotImplementedError("wengert.ops.creation is not loaded")


def wrap(array, dtype=None):
    """A tensor around `array` as it is: no copy, no graph."""
    if array.size >= NOTICED:
        choices.notice()
    t = new(Tensor)
    t._array = array
    t.dtype = FROM_NUMPY[array.dtype] if dtype is None else dtype
    t._node = t._counter = t._base = None
    return t


def detach_plain(tensor):
    """`Tensor.detach` whatever the class, giving a plain Tensor."""
    alias = wrap(tensor._array, tensor.dtype)
    if tensor._counter is None:
        tensor._counter = Version()
    alias._counter = tensor._counter
    return alias


def detach_rarely(tensor):
    """`detach` for Parameters, subclasses, and while something watches."""
    if type(tensor) is not Tensor and type(tensor) is not Parameter:
        from wengert import overrides

        if overrides.has_override(tensor):
            return overrides.handle(Tensor.detach, (tensor,), (tensor,), {})
    alias = detach_plain(tensor)
    tangentless = tensor.__dict__.get("_detach")  # a dual tensor keeps its tangent, see autograd.forward_ad
    if tangentless is not None:
        alias = tangentless(tensor, alias)
    if rare.active:
        for observe in rare.on_result:
            observe("detach", (tensor,), alias, tensor._node)
    return alias


for _name in outside.names("Tensor"):
    setattr(Tensor, _name, outside.Without("Tensor", _name))


def wrap_dim(dim, ndim):
    """`dim` counted from the front; raises IndexError as PyTorch does."""
    limit = ndim or 1
    if -limit <= dim < limit:
        return dim + limit if dim < 0 else dim
    raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")


def of_class(tensor, cls):
    """`tensor`, which nobody else has seen, as an instance of a subclass."""
    try:
        tensor.__class__ = cls
    except TypeError:  # the class has slots of its own
        whole = object.__new__(cls)
        for slot in ("_array", "dtype", "_node", "_counter", "_base"):
            setattr(whole, slot, getattr(tensor, slot))
        whole.__dict__.update(tensor.__dict__)
        if whole._base is not None:
            from weakref import ref

            whole._counter.register(ref(whole))
        return whole
    return tensor


def strides_of(array):
    """Strides in elements, as PyTorch counts them."""
    itemsize = array.itemsize
    strides = array.strides
    if not array.size and not any(strides):  # all that NumPy says of an empty array
        return tuple(math.prod(max(n, 1) for n in array.shape[dim + 1 :]) for dim in range(array.ndim))
    return tuple(s // itemsize for s in strides)


def data_ptr(array):
    return array.__array_interface__["data"][0]


def is_node(value):
    return isinstance(value, Node)
