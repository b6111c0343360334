"""Functions with a derivative of the user's own.

``Foo.apply(x)`` runs ``forward`` unrecorded and enters one node, `FooBackward`, into the graph; the node calls
``backward``. The context `ctx`, on which the two leave things for each other, belongs to the node; what a user sees as
``y.grad_fn`` is the node, which shows the attributes of its context.

What `forward` returns is fitted into the graph here: an input returned as it is becomes a view of itself, an input
written
in place (`mark_dirty`) gets its new history, everything else the node.
"""

import functools
import inspect
import warnings
from types import SimpleNamespace
from weakref import ref

import numpy as np

from wengert.autograd import graph, views
from wengert.autograd.graph import FREED, AccumulateGrad, Node, Output, Version, grad_mode, next_seq, rare
from wengert.autograd.modes import no_grad
from wengert.tensor import Tensor, detach_plain, new, wrap


class FunctionCtx:
    """What `forward` and `backward` of one application share."""

    _to_save = _to_save_for_forward = _dirty = _non_differentiable = ()
    materialize_grads = _materialize_non_diff_grads = True
    needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keep tensors (or None) for `backward`, which finds them in ``ctx.saved_tensors``; call it at most once.

        Inputs and outputs may be kept only this way: it counts versions and makes no reference cycles.
        """
        check_tensors("save_for_backward", tensors)
        self._to_save = tensors

    def save_for_forward(self, *tensors):
        """Keep tensors (or None) for `jvp`."""
        check_tensors("save_for_forward", tensors)
        self._to_save_for_forward = tensors

    def mark_dirty(self, *tensors):
        """Say which inputs `forward` writes in place; each must be returned."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """Say which outputs have no derivative; their gradient is zero in `backward`."""
        self._non_differentiable = tensors

    def mark_shared_storage(self, *pairs):
        """Not needed any more: sharing is found out."""
        warnings.warn(
            "mark_shared_storage is deprecated. Tensors with shared storages are automatically tracked. Note that "
            "calls to "
            "`set_()` are not tracked",
            FutureWarning,
            stacklevel=2,
        )

    def set_materialize_grads(self, value):
        """Whether a gradient that nobody computed reaches `backward` as zeros (the default) or as None."""
        self.materialize_grads = bool(value)

    @property
    def saved_tensors(self):
        """What `save_for_backward` kept; raises RuntimeError if it was freed or written in place since."""
        if "_in_jvp" in self.__dict__:
            return self._to_save_for_forward
        owner = self.__dict__.get("_owner")
        node = owner() if owner is not None else None
        if node is None:
            return self._to_save or self._to_save_for_forward
        return node.unpack_saved()

    @property
    def saved_variables(self):
        """The old name of `saved_tensors`."""
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors


BackwardCFunction = FunctionCtx


def check_tensors(method, tensors):
    for position, tensor in enumerate(tensors):
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"{method} can only save variables, but argument {position} is of type {type(tensor).__name__}"
            )


class FunctionNode(Node):
    """The node of a user's Function."""

    __slots__ = ("function", "ctx", "inputs", "results", "s_saved", "nontensors")
    __module__ = "torch.autograd.function"
    outputs = 1

    def __repr__(self):
        return f"<torch.autograd.function.{self.name()} object at {id(self):#x}>"

    def __getattr__(self, name):
        if name in ("ctx", "s_saved"):
            raise AttributeError(name)
        if name == "_raw_saved_tensors":
            return tuple(RawSaved(self, i) for i in range(len(self.s_saved)))
        try:
            return getattr(self.ctx, name)
        except AttributeError:
            raise AttributeError(f"{self.name()!r} object has no attribute {name!r}") from None

    @property
    def saved_tensors(self):
        return self.unpack_saved()

    # --- what was saved ---------------------------------------------------------------------------------------------

    def keep(self, tensors):
        """Keep what `save_for_backward` was given: outputs without the reference back to this node."""
        from wengert.autograd import saved

        hooks = saved.hooks_in_force()
        kept = []
        for tensor in tensors:
            made_here = tensor is not None and origin_of(tensor) is self
            number = getattr(tensor._node, "nr", 0) if made_here else None
            if tensor is not None and hooks is not None:
                kept.append(saved.Packed(tensor, hooks, None if made_here else tensor._node, number))
            elif made_here:
                kept.append(OwnOutput(tensor, number))
            else:
                kept.append(tensor)
        self.s_saved = tuple(kept)
        self.versions = tuple(0 if t is None or t._counter is None else t._counter.value for t in kept)

    def unpack_saved(self):
        if self.versions is FREED:
            raise RuntimeError(graph.FREED_MESSAGE)
        for tensor, version in zip(self.s_saved, self.versions, strict=True):
            counter = None if tensor is None else tensor._counter
            if counter is not None and counter.value != version:
                raise RuntimeError(graph.modified_message(self, tensor, version))
        return tuple(graph.restore(self, t) for t in self.s_saved)

    def release(self):
        if self.s_saved:
            self.s_saved, self.versions = (), FREED

    # --- the derivative ---------------------------------------------------------------------------------------------

    def apply(self, g, keep):
        arrived = [None if x is None else wrap(np.asarray(x)) for x in (g if self.outputs > 1 else (g,))]
        results = self.differentiate(arrived)
        if not keep:
            self.release()
        return [None if d is None else d._array for d in results]

    def apply_graph(self, g):
        return self.differentiate(list(g) if self.outputs > 1 else [g])

    def differentiate(self, arrived):
        """The user's `backward`, and what it returned brought into the form of the inputs."""
        function = self.function
        if self.ctx.materialize_grads:
            arrived = [
                zeros_like_result(r) if x is None and r is not None else x
                for x, r in zip(arrived, self.results, strict=True)
            ]
        backward = backward_of(function)
        returned = backward(self.ctx, *arrived)
        returned = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        kinds = self.inputs
        while len(returned) > len(kinds) and returned[-1] is None:
            returned.pop()
        if len(returned) != len(kinds):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {len(kinds)}, got "
                f"{len(returned)})"
            )
        results, edges = [], iter(self.edges)
        for position, (value, kind) in enumerate(zip(returned, kinds, strict=True)):
            if kind is None:
                if value is not None:
                    raise RuntimeError(
                        f"function {self.name()} returned a gradient different than None at position {position + 1}, "
                        "but the "
                        "corresponding forward input was not a Variable"
                    )
                continue
            edge = next(edges)
            if value is not None and not isinstance(value, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(value).__name__})")
            results.append(None if value is None or edge is None else self.fitted(value, kind, len(results)))
        return results

    def fitted(self, value, kind, position):
        """A gradient in the shape and dtype of its input."""
        shape, dtype = kind
        if value._array.shape != shape:
            if not expandable(shape, value._array.shape):
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {position} - got "
                    f"{list(value.shape)} but "
                    f"expected shape compatible with {list(shape)}"
                )
            value = value.sum_to_size(shape)
        if value.dtype is not dtype:
            value = (value.real if value.dtype.is_complex and not dtype.is_complex else value).to(dtype)
        return value


class OwnOutput(views.SavedOutput):
    """An output kept by the node that made it, under its number."""

    __slots__ = ()

    def __new__(cls, tensor, number):
        kept = new(cls)
        if tensor._counter is None:
            tensor._counter = Version()
        kept._array, kept.dtype, kept._counter = tensor._array, tensor.dtype, tensor._counter
        kept._node = kept._base = None
        kept.number = number
        return kept

    def number_in(self, node):
        return self.number


class RawSaved:
    """One entry of ``grad_fn._raw_saved_tensors``."""

    def __init__(self, node, number):
        self.node, self.number = node, number

    @property
    def data(self):
        """The kept tensor without its place in the graph."""
        return detach_plain(self.node.unpack_saved()[self.number])

    def register_hooks(self, pack_hook, unpack_hook):
        """Keep ``pack_hook(tensor)`` from now on, and call ``unpack_hook`` on it when the tensor is needed."""
        from wengert.autograd import saved

        node, number = self.node, self.number
        node.unpack_saved()
        kept = list(node.s_saved)
        kept[number] = saved.packed(kept[number], node, (pack_hook, unpack_hook))
        node.s_saved = tuple(kept)
        node.versions = (*node.versions[:number], 0, *node.versions[number + 1 :])


def origin_of(tensor):
    """The node that made `tensor`."""
    node = tensor._node
    return node.parent if type(node) is Output else node


def expandable(shape, to):
    """Whether `shape` broadcasts to `to`."""
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))


def zeros_like_result(result):
    shape, dtype = result
    return wrap(np.zeros(shape, dtype.numpy), dtype)


def backward_of(function):
    """The `backward` (or `vjp`) that a Function defines."""
    has_backward, has_vjp = function.backward is not Function.backward, function.vjp is not Function.vjp
    if has_backward and has_vjp:
        raise RuntimeError(
            "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement "
            "one of them."
        )
    return function.vjp if has_vjp else function.backward


class FunctionMeta(type):
    """Gives each Function the class of its nodes, `<name>Backward`."""

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        cls._backward_cls = type(
            f"{name}Backward", (FunctionNode,), {"__slots__": (), "__module__": "torch.autograd.function"}
        )
        cls._ctx_cls = type(f"{name}Backward", (FunctionCtx,), {"__module__": "torch.autograd.function"})
        cls._as_operation = SimpleNamespace(name=name, differentiable=True, function=cls)


class Function(metaclass=FunctionMeta):
    """An operation with a derivative of its own; subclass it and define static methods.

    Either ``forward(ctx, *args)``, or ``forward(*args)`` with ``setup_context(ctx, inputs, output)``;
    ``backward(ctx, *grad_outputs)`` (also called `vjp`), returning one gradient (or None) for each argument;
    ``jvp(ctx, *tangents)`` for forward mode. Use it as ``Foo.apply(*args)``.
    """

    generate_vmap_rule = False  # `wengert.func.vmap` runs a Function once for each example, whatever this says

    def __init__(self, *args, **kwargs):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke "
            "them on the class itself. Instantiating an autograd function will raise an error in a future version of "
            "PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            "function "
            "with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the outputs: tensors, or anything else, one or a tuple."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Leave in `ctx` what `backward` needs, where `forward` does not take a ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Return the gradient for each argument of `forward`, None for those that have none."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward "
            "mode AD."
        )

    @staticmethod
    def vjp(ctx, *grad_outputs):
        """Another name for `backward`."""
        raise NotImplementedError("vjp is another name for backward: implement one of them.")

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """Return the tangent of each output, given that of each argument."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        """A rule for `vmap`; not needed, since `wengert.func.vmap` runs the function once for each example."""
        raise NotImplementedError("wengert.func.vmap runs a Function once for each example and calls no rule.")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run `forward` on the arguments and enter the result into the graph."""
        with_setup = cls.setup_context is not Function.setup_context
        if with_setup:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        elif kwargs:
            bound = inspect.signature(cls.forward).bind(None, *args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args[1:], bound.kwargs
        if any(type(a) is not Tensor and isinstance(a, Tensor) and a._tangent is not None for a in args):
            from wengert.autograd import forward_ad

            result, ctx = forward_ad.apply_function(cls, args, kwargs, with_setup)
        else:
            result, ctx = run(cls, args, kwargs, with_setup)
        ctx._dirty = ctx._non_differentiable = ctx._to_save_for_forward = ()
        return result


def run(cls, args, kwargs, with_setup):
    """Run `forward` and enter its node; returns the result and the context."""
    ctx = cls._ctx_cls()
    tensors = [a for a in args if isinstance(a, Tensor)]
    executable = grad_mode.enabled and any(t._node is not None for t in tensors)
    ctx.needs_input_grad = tuple(executable and isinstance(a, Tensor) and a._node is not None for a in args)
    edges = tuple(t._node for t in tensors)
    rare.inside.functions += 1
    try:
        with no_grad():
            if with_setup:
                returned = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, returned)
            else:
                returned = cls.forward(ctx, *args, **kwargs)
    finally:
        rare.inside.functions -= 1
    node = new_node(cls, ctx, args, edges) if executable else None
    result = entered(node, ctx, tensors, returned)
    if node is not None:
        node.keep(ctx._to_save)
        ctx._to_save = ()
        ctx._owner = ref(node)
    if rare.active:
        for observe in rare.on_record:
            observe(cls._as_operation, dict(enumerate(args)), result)
    return result, ctx


def new_node(cls, ctx, args, edges):
    node = new(cls._backward_cls)
    node.function, node.ctx, node.edges = cls, ctx, edges
    node.inputs = [(a._array.shape, a.dtype) if isinstance(a, Tensor) else None for a in args]
    node.hooks = node.shape = None
    node.versions, node.s_saved = None, ()
    node.seq = next_seq()
    return node


# --- what forward returned --------------------------------------------------------------------------------------------


def entered(node, ctx, inputs, returned):
    """The outputs in their place in the graph (or outside of it, where `node` is None)."""
    many = isinstance(returned, tuple)
    outputs = returned if many else (returned,)
    check_dirty(ctx, inputs, outputs)
    if node is not None:
        if len(outputs) != 1:
            node.outputs = len(outputs)
        node.results = [
            (t._array.shape, t.dtype) if isinstance(t, Tensor) and t.dtype.differentiable else None for t in outputs
        ]
        for number, t in enumerate(outputs):
            if isinstance(t, Tensor) and not t.dtype.differentiable:
                node.results[number] = (t._array.shape, t.dtype)
        if not ctx._materialize_non_diff_grads:
            for number, t in enumerate(outputs):
                if isinstance(t, Tensor) and among(t, ctx._non_differentiable):
                    node.results[number] = None
        node.shape = node.results[0][0] if len(outputs) == 1 and node.results[0] else None
    placed = tuple(
        place(t, number, node, ctx, inputs, len(outputs)) if isinstance(t, Tensor) else t
        for number, t in enumerate(outputs)
    )
    return placed if many else placed[0]


def among(tensor, tensors):
    return any(tensor is t for t in tensors)


def check_dirty(ctx, inputs, outputs):
    for tensor in ctx._dirty:
        if not among(tensor, outputs):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs that "
                "are "
                "modified inplace must all be outputs of the Function."
            )
        if not among(tensor, inputs):
            warnings.warn(
                "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors that have been mutated "
                "should be "
                "passed to ctx.mark_dirty().",
                UserWarning,
                stacklevel=4,
            )


def place(tensor, number, node, ctx, inputs, count):
    """One output in its place."""
    is_input = among(tensor, inputs)
    is_dirty = among(tensor, ctx._dirty)
    if node is None or not tensor.dtype.differentiable or among(tensor, ctx._non_differentiable):
        return outside(tensor, is_input, is_dirty)
    if is_dirty and is_input:
        return rewritten(tensor, edge_from(node, tensor, number), node, count)
    if is_input:
        tensor = view_of_itself(tensor)
    tensor._node = edge_from(node, tensor, number)
    if tensor._base is not None:
        tensor._view_kind = "custom" if count == 1 else "multi"
    return tensor


def outside(tensor, is_input, is_dirty):
    """An output without derivative: an input is returned as a view of itself, never changed."""
    if is_dirty:
        views.bump(tensor)
        return tensor
    if is_input:
        return marked(detach_plain(tensor) if tensor._node is not None else view_of_itself(tensor))
    tensor._node = None
    return marked(tensor) if tensor._base is not None else tensor


def marked(view):
    """A view that came out of a Function without a place in the graph; it must not be written with one."""
    view._view_kind = "custom" if grad_mode.enabled else "no_grad"
    return view


def view_of_itself(tensor):
    with no_grad():
        return tensor.view_as(tensor)


def edge_from(node, tensor, number):
    return node if node.outputs == 1 else Output(node, number, tensor._array.shape, tensor.dtype)


def rewritten(tensor, edge, node, count):
    """An input that `forward` wrote in place: its history now goes through the node."""
    if type(tensor._node) is AccumulateGrad:
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    views.check_inplace(tensor)
    if tensor._base is not None and count > 1:
        raise RuntimeError(
            "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return "
            "more "
            "than one Tensor. This is not supported by the current autograd engine. You should either make sure the "
            "input is "
            "not a view (using .clone() for example) or make your Function only return one Tensor (potentially "
            "splitting it "
            "into two Functions: one doing the inplace that returns a single Tensor and a second one that does the "
            "other "
            "operations). You can ask on the forum https://discuss.pytorch.org/ if you need help to do this change."
        )
    views.bump(tensor)
    if tensor._base is not None:
        first = next(i for i, t in enumerate(node.inputs) if t is not None)
        if node.inputs[first][0] != tensor._array.shape:
            raise RuntimeError("a Function that writes a view in place must take it as its first tensor")
    views.set_history(tensor, edge)
    return tensor


# --- decorators and relatives -----------------------------------------------------------------------------------------


class Error(Node):
    """Stands where a derivative would begin, and refuses it."""

    __slots__ = ("message", "outputs")

    def name(self):
        return "torch::autograd::Error"

    def __init__(self, message, inputs):
        self.message, self.outputs = message, len(inputs)
        self.edges = tuple(t._node if isinstance(t, Tensor) else None for t in inputs)
        self.shape = inputs[0]._array.shape if self.outputs == 1 else None
        self.seq = next_seq()
        self.versions = self.hooks = None

    def apply(self, g, keep):
        raise RuntimeError(self.message)

    def apply_graph(self, g):
        raise RuntimeError(self.message)


class DelayedError:
    """Called with tensors, returns the same; a gradient that comes to them raises RuntimeError with this message."""

    def __init__(self, message, num_inputs):
        self.message, self.count = message, num_inputs

    def __call__(self, *tensors):
        node = Error(self.message, tensors)
        results = tuple(after_error(t, number, node) for number, t in enumerate(tensors))
        return results[0] if len(results) == 1 else results


def after_error(value, number, node):
    if not isinstance(value, Tensor):
        return value
    value = detach_plain(value)
    value._node = edge_from(node, value, number) if grad_mode.enabled else None
    return value


class UndefinedGrad:
    """Called with a tensor, returns the same; the gradient that comes to it goes no further."""

    def __call__(self, tensor):
        return UndefinedGradient.apply(tensor)


def once_differentiable(fn):
    """Decorate a `backward` whose own derivative would be wrong: a second derivative raises RuntimeError."""

    @functools.wraps(fn)
    def wrapper(ctx, *args):
        with no_grad():
            outputs = fn(ctx, *args)
        if not grad_mode.enabled:
            return outputs
        if not any(isinstance(a, Tensor) and a._node is not None for a in args):
            return outputs
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        # Leaves of their own, so that a second derivative ends in the error and leads nowhere else.
        leaves = (detach_plain(v).requires_grad_() if isinstance(v, Tensor) else v for v in values)
        message = "trying to differentiate twice a function that was marked with @once_differentiable"
        results = DelayedError(message, len(values))(*leaves)
        return (results,) if isinstance(outputs, tuple) and len(values) == 1 else results

    return wrapper


class UndefinedGradient(Function):
    """The identity, whose gradient is None; see `UndefinedGrad`."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return None


class InplaceFunction(Function):
    """Only here for programs that derive from it: a Function that remembers whether it was asked to work in place."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace


class NestedIOFunction(Function):
    """A relic of Functions with methods that were not static; like PyTorch's, it cannot be run."""

    @classmethod
    def apply(cls, *args, **kwargs):
        return Function.__call__(cls, *args, **kwargs)
