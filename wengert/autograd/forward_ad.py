"""Forward mode: tensors that carry a tangent, and operations that push it along.

A dual tensor (`Dual`) is a tensor with one more attribute, its tangent; because it is of a class of its own, it leaves
the common path of every operation and arrives here, in `apply`. The operation runs on the primals as usual. The tangent
of the result follows from the declaration:

- a view is linear: the same view of the tangent (which then shares memory with it, as a view should);
- of an operation on corresponding elements, the Jacobian is diagonal and hence its own transpose: the derivative
formula
  with the tangent in the place of `g`;
- of any other operation, a formula gives v(u) = Jᵀu. That is linear in u, so its own reverse derivative, applied to the
  tangent t, is J t (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).

Formulas here run on tensors, in the sight of both modes, so tangents can be differentiated in reverse, gradients can
carry tangents, and levels can be nested (`wengert.func` does): an operation works on the tangents of the newest level,
while its primals may themselves be dual at an older one.
"""

import sys
import threading
from collections import namedtuple

import numpy as np

from wengert.autograd import engine, views
from wengert.autograd.graph import AccumulateGrad, Output, grad_mode, version_of
from wengert.autograd.modes import ContextDecorator, enable_grad
from wengert.autograd.saved import slots_of
from wengert.ops import declare
from wengert.ops.declare import Pointwise, convert
from wengert.ops.emit import formula_parameters
from wengert.tensor import Parameter, Tensor, new, wrap


class Level:
    """One nesting of forward mode; when it is left, its tangents are gone."""

    __slots__ = ("depth", "alive")

    def __init__(self, depth):
        self.depth, self.alive = depth, True


class _State(threading.local):
    enabled = True  # whether operations push tangents along

    def __init__(self):
        self.levels = []


state = _State()


def __getattr__(name):
    if name == "_current_level":  # as PyTorch numbers them: -1 outside of any
        return len(state.levels) - 1
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _is_fwd_grad_enabled():
    return state.enabled


class _set_fwd_grad_enabled(ContextDecorator):
    """Whether operations push tangents along: at once, and until the end of the block as a context manager."""

    def __init__(self, mode):
        self.mode, self.previous = mode, state.enabled
        state.enabled = bool(mode)

    def clone(self):
        return _set_fwd_grad_enabled(self.mode)

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        state.enabled = self.previous


class Dual(Tensor):
    """A tensor with tangents: (level, tangent) pairs, the newest level last."""

    __slots__ = ()
    _plain_override = True  # not a user's subclass
    _tangents = ()
    __torch_function__ = Parameter.__dict__["__torch_function__"]

    @property
    def _tangent(self):
        pairs = self._tangents
        while pairs and not pairs[-1][0].alive:
            pairs = self._tangents = pairs[:-1]
        return pairs[-1][1] if pairs else None


Dual.__name__ = Dual.__qualname__ = "Tensor"
Dual.__module__ = "wengert"

UnpackedDualTensor = namedtuple("UnpackedDualTensor", ["primal", "tangent"])


# --- levels -----------------------------------------------------------------------------------------------------------


def push_level():
    """Open a level inside any that are open."""
    level = Level(len(state.levels))
    state.levels.append(level)
    engine.state.duals += 1
    return level


def pop_level(level):
    """Close a level: tensors lose the tangents they had at it."""
    state.levels.remove(level)
    level.alive = False
    engine.state.duals -= 1


def enter_dual_level():
    """Open the level at which `make_dual` works and return its number. Raises RuntimeError inside of another."""
    if state.levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    return push_level().depth


def exit_dual_level(*, level=None):
    """Close the level: tensors lose their tangents. Raises RuntimeError if none is open, or it is not the last."""
    if not state.levels:
        raise RuntimeError("Dual level must be a positive number.")
    if level is not None and level != state.levels[-1].depth:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was entered. This is not supported."
        )
    pop_level(state.levels[-1])


class dual_level(ContextDecorator):
    """A context manager: inside, dual tensors can be made; at its end, all tensors lose their tangents."""

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *exc):
        exit_dual_level()


# --- making and taking apart ------------------------------------------------------------------------------------------


def make_dual(tensor, tangent, *, level=None):
    """A view of `tensor` that carries `tangent` (same shape and dtype) through the operations to come.

    Raises RuntimeError outside of a level, or if `tensor` has a tangent already; ValueError for a dtype without
    derivatives.
    """
    if not state.levels:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for what, value in (("primal", tensor), ("tangent", tangent)):
        if not value.dtype.differentiable:
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {value.dtype}")
    newest = state.levels[-1]
    if newest_level((tangent,)) is newest:
        raise RuntimeError(
            "Setting a forward grad that itself has a forward gradient at the same level "
            f"{newest.depth} is not supported."
        )
    if newest_level((tensor,)) is newest:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level "
            f"{newest.depth} is not supported."
        )
    return dual_at(newest, tensor, tangent)


def dual_at(level, tensor, tangent):
    """A view of `tensor` with a tangent at `level`."""
    if tangent._array.shape != tensor._array.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    if tangent.dtype is not tensor.dtype:
        tangent = tangent.to(tensor.dtype)
    return attach(tensor.view(tensor.shape), level, tangent)


def unpack_dual(tensor, *, level=None):
    """The primal and the tangent (None if there is none) of a tensor, as a named pair."""
    if not state.levels:
        return UnpackedDualTensor(tensor, None)
    tangent = tangent_at(tensor, state.levels[-1])
    if tangent is None:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(stripped(tensor, state.levels[-1]), tangent)


def attach(tensor, level, tangent):
    """Give `tensor` a tangent at `level`, in place."""
    if type(tensor) is not Dual:
        tensor.__class__ = Dual
    tensor._tangents = (*(p for p in tensor._tangents if p[0] is not level), (level, tangent))
    return tensor


def tangent_at(tensor, level):
    """The tangent of `tensor` at `level`, or None."""
    if type(tensor) is Dual:
        for its_level, tangent in tensor._tangents:
            if its_level is level:
                return tangent
    return None


def flat(values):
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from flat(value)
        elif isinstance(value, Tensor):
            yield value


def newest_level(values):
    """The newest level at which any of `values` (tensors, and sequences of them) has a tangent, or None."""
    found = None
    for tensor in flat(values):
        if type(tensor) is Dual and tensor._tangent is not None:
            level = tensor._tangents[-1][0]
            if found is None or level.depth > found.depth:
                found = level
    return found


def stripped(tensor, level):
    """`tensor` without its tangent at `level`: another object in the same place of the graph."""
    if tangent_at(tensor, level) is None:
        return tensor
    rest = tuple(p for p in tensor._tangents if p[0] is not level)
    twin = new(Dual if rest else Tensor)
    twin._array, twin.dtype, twin._node, twin._base = tensor._array, tensor.dtype, tensor._node, tensor._base
    if tensor._counter is None:
        tensor._counter = views.Version()
    twin._counter = tensor._counter
    if rest:
        twin._tangents = rest
    if tensor._view_kind is not None:
        twin._view_kind = tensor._view_kind
    return twin


def bare(tensor):
    """`tensor` without any tangent."""
    while (level := newest_level((tensor,))) is not None:
        tensor = stripped(tensor, level)
    return tensor


def mapped(function, value):
    """`function` on each tensor of an argument."""
    if isinstance(value, Tensor):
        return function(value)
    if type(value) in (list, tuple):
        return type(value)(mapped(function, v) for v in value)
    return value


def primals(args):
    """Arguments without their tangents at the newest level."""
    level = newest_level(args)
    return tuple(mapped(lambda t: stripped(t, level), a) for a in args)


# --- operations -------------------------------------------------------------------------------------------------------


def apply(operation, values, kind):
    """Run an operation one or more of whose arguments are dual."""
    if not state.enabled:
        return operation.general({name: mapped(bare, value) for name, value in values.items()}, None, kind)
    if kind == "cast":
        return cast(values["input"], values["result"])
    if kind == "inplace":
        return apply_inplace(operation, values)
    level = newest_level(values.values())
    plain = {name: mapped(lambda t: stripped(t, level), value) for name, value in values.items()}
    result = operation.general(plain)
    pushed(operation, level, values, plain, result)
    return result


def pushed(operation, level, values, plain, result):
    """Give the results their tangents."""
    results = result if isinstance(result, (tuple, list)) else (result,)
    if not any(r.dtype.differentiable for r in results):
        return
    tangents = tangents_of(operation, level, values, plain, results)
    restore_duals(level, values, plain, results, tangents)
    for r, tangent in zip(results, tangents, strict=True):
        if tangent is not None and r.dtype.differentiable:
            attach(r, level, tangent)


def tangents_of(operation, level, values, plain, results):
    """The tangent of each result."""
    if getattr(operation, "view", False):
        first = next(iter(values))
        return [operation.general({**plain, first: tangent_at(values[first], level)})]
    if not getattr(operation, "differentiable", True):
        return [None] * len(results)
    if getattr(operation, "linear", False):
        tangents = {name: tangent_at(values[name], level) for name in operation.derivatives}
        zero = {name: wrap(np.zeros_like(plain[name]._array), plain[name].dtype) for name in tangents}
        return [operation.general({**plain, **{n: zero[n] if t is None else t for n, t in tangents.items()}})]
    if isinstance(operation, Pointwise) and len(results) == 1:
        found = pointwise_tangent(operation, level, values, plain, results[0])
        if found is not None:
            return [found]
    return transposed_tangents(operation, level, values, plain, results)


def pointwise_tangent(operation, level, values, plain, result):
    """Σ ∂f/∂xᵢ · tᵢ by the formulas themselves; None if they need what only the node has."""
    if operation.promote == "bool" or (result.dtype.is_complex and not operation.holomorphic):
        return None
    if any(t.dtype.is_complex != result.dtype.is_complex for t in flat(plain.values()) if t.dtype.differentiable):
        return None
    total = None
    shape = result._array.shape
    if shape != np.broadcast_shapes(*(t._array.shape for t in flat(plain.values()))):
        return None  # a loss: elementwise, then reduced
    for name in operation.tensors:
        tangent = None if values[name] is None else tangent_at(values[name], level)
        formula = operation.derivatives.get(name)
        if tangent is None or formula is None:
            continue
        if tangent._array.shape != shape:
            tangent = tangent.expand(shape)
        arguments = []
        for parameter in formula_parameters(formula):
            if parameter == "g":
                arguments.append(tangent)
            elif parameter == "out":
                arguments.append(result)
            elif parameter in plain:
                arguments.append(plain[parameter])
            else:
                return None
        term = formula(*arguments)
        if term._array.shape != shape:
            term = term.expand(shape)
        total = term if total is None else total + term
    return total


def transposed_tangents(operation, level, values, plain, results):
    """J t as the derivative of u -> Jᵀu, which the operation's node computes."""
    twins, tangents = {}, []

    def twin(tensor):
        if not tensor.dtype.differentiable:
            return tensor
        copy = wrap(tensor._array, tensor.dtype)
        copy._counter = tensor._counter
        copy._node = AccumulateGrad(copy)
        twins[id(copy)] = (copy, tensor)
        return copy

    def twin_of_dual(tensor):
        tangent = tangent_at(tensor, level)
        primal = stripped(tensor, level)
        if tangent is None:
            return wrap_plain(primal, twins)
        copy = twin(primal)
        tangents.append((copy, tangent))
        return copy

    with enable_grad():
        repeated = operation.body({name: mapped(twin_of_dual, value) for name, value in values.items()})
    repeated = repeated if isinstance(repeated, (tuple, list)) else (repeated,)
    node = next((origin(r) for r in repeated if r._node is not None), None)
    if node is None:
        return [None] * len(results)
    link(node, twins, results, repeated)
    return [push_through(node, number, r, repeated[number], tangents) for number, r in enumerate(results)]


def wrap_plain(tensor, twins):
    """A tensor without tangent, for the repeated run: outside the graph, but known by what it stands for."""
    copy = wrap(tensor._array, tensor.dtype)
    copy._counter = tensor._counter
    twins[id(copy)] = (copy, tensor)
    return copy


def origin(tensor):
    node = tensor._node
    return node.parent if type(node) is Output else node


def link(node, twins, results, repeated):
    """Let what the node of the repeated run keeps be the real operands and results, in their places in the graph."""

    def real(value):
        if id(value) in twins:
            return twins[id(value)][1]
        if getattr(value, "_is_saved_output", False):
            number = value.number_in(node)
            return results[number]
        return value

    slots = slots_of(node)
    for slot in slots:
        value = getattr(node, slot)
        setattr(node, slot, tuple(map(real, value)) if isinstance(value, (tuple, list)) else real(value))
    if node.versions is not None or slots:
        kept = [v for slot in slots for v in flat_with_none(getattr(node, slot))]
        node.versions = tuple(version_of(v) for v in kept)


def flat_with_none(value):
    return value if isinstance(value, (tuple, list)) else (value,)


def push_through(node, number, result, repeated, tangents):
    """The tangent of one result of `node`."""
    if repeated._node is None or not result.dtype.differentiable:
        return None
    create_graph = grad_mode.enabled
    with enable_grad():
        # Any u would do; ones, since a formula may be linear and yet take a logarithm of u.
        u = wrap(np.ones(result._array.shape, result.dtype.numpy), result.dtype).requires_grad_()
        arriving = u
        if node.outputs > 1 or type(repeated._node) is Output:
            arriving = [None] * node.outputs
            arriving[number] = u
        leaving = node.apply_graph(arriving)
        pairs = []
        for edge, v in zip(node.edges, leaving, strict=True):
            for copy, tangent in tangents:
                if edge is not None and hidden_end(edge) is copy._node and v is not None and v._node is not None:
                    pairs.append((v, tangent if tangent.dtype is v.dtype else tangent.to(v.dtype)))
        if not pairs:
            return wrap(np.zeros(result._array.shape, result.dtype.numpy), result.dtype)
        (tangent,) = engine.grad(
            [v for v, _ in pairs], [u], [t for _, t in pairs], create_graph=create_graph, allow_unused=True
        )
    if tangent is None:
        return wrap(np.zeros(result._array.shape, result.dtype.numpy), result.dtype)
    return tangent


def hidden_end(edge):
    """The leaf behind casts that the operation made for itself."""
    while edge.hidden:
        edge = edge.edges[0]
    return edge


def restore_duals(level, values, plain, results, tangents):
    """Let what the node of the result keeps be the dual operands themselves, so that gradients carry tangents too."""
    node = next((origin(r) for r in results if r._node is not None), None)
    duals = {id(p): d for p, d in zip(flat(plain.values()), flat(values.values()), strict=True) if p is not d}
    for r in results:
        if id(r._base) in duals:
            base = duals[id(r._base)]
            r._base = base if base._base is None else base._base
    if node is None:
        return
    for slot in slots_of(node):
        value = getattr(node, slot)
        if isinstance(value, (tuple, list)):
            setattr(node, slot, tuple(duals.get(id(v), v) for v in value))
        elif getattr(value, "_is_saved_output", False):
            tangent = tangents[value.number_in(node)]
            if tangent is not None:
                older = value.__dict__.get("_revived", (None, ()))[1]
                value._revived = (Dual, (*older, (level, tangent)))
        else:
            setattr(node, slot, duals.get(id(value), value))


# --- in place ---------------------------------------------------------------------------------------------------------


def apply_inplace(operation, values):
    """Run an in-place operation on or with dual tensors: the tangent of the target is written in place too."""
    names = iter(values)
    target = values[next(names)]
    level = newest_level(values.values())
    first = next(iter(values))
    before = stripped(target, level)
    plain = {name: mapped(lambda t: stripped(t, level), value) for name, value in values.items()}
    old = views.copy_of(before)
    if type(before) is Dual:
        old.__class__ = Dual
        old._tangents = before._tangents
    tangent = tangent_at(target, level)
    if tangent is not None:
        tangent = tangent.clone()
        old = attach(old, level, tangent)
    with_old = {**values, first: old}
    result = operation.general(with_old)
    # The real write, on the object itself, so that its views and its base learn of it.
    saved_pairs = target.__dict__.get("_tangents", ())
    if type(target) is Dual:
        target._tangents = tuple(p for p in saved_pairs if p[0] is not level)
        if not target._tangents:
            target.__class__ = Tensor
    try:
        operation.general({**plain, first: target}, None, "inplace")
    finally:
        if saved_pairs:
            older = target._tangents if type(target) is Dual else ()
            target.__class__ = Dual
            target._tangents = (*older, *(p for p in saved_pairs if p[0] is level))
    fresh = tangent_at(result, level)
    if fresh is None:
        fresh = wrap(np.zeros(target._array.shape, target.dtype.numpy), target.dtype)
    fresh = convert(fresh, target.dtype)
    if target.dtype.differentiable:
        write_tangent(target, level, fresh)
    return target


def write_tangent(target, level, fresh):
    """`fresh` as the tangent of a tensor that was written in place, seen by all views of its memory."""
    if fresh._array.shape != target._array.shape:
        fresh = fresh.expand(target._array.shape)
    root = target if target._base is None else target._base
    living = living_views(root)
    if root is target and not living:
        attach(target, level, fresh)
        return
    if tangent_at(target, level) is None:
        lay_out_tangents(root, living, level)
    tangent_at(target, level).copy_(fresh)


def living_views(root):
    counter = root._counter
    found = (r() for r in (counter.views or ())) if counter is not None else ()
    return [v for v in found if v is not None and v._base is root]


def lay_out_tangents(root, living, level):
    """Zero tangents for a tensor and its views, sharing memory as they do."""
    if tangent_at(root, level) is None:
        whole = views.Window(root, root).blank()
        attach(root, level, wrap(whole, root.dtype))
    whole = tangent_at(root, level)._array
    for view in living:
        if tangent_at(view, level) is None and view.dtype.differentiable:
            attach(view, level, wrap(views.Window(root, view).of(whole), view.dtype))


def cast(tensor, result):
    """A dtype change that an operation made on its own account."""
    if result.dtype.differentiable:
        for level, tangent in tensor._tangents:
            if level.alive:
                attach(result, level, convert(tangent, result.dtype))
    return result


def pieces(tensor, cut):
    """Several views made together by ``cut(tensor)``: of the primal, with those of the tangent."""
    level = newest_level((tensor,))
    primal = stripped(tensor, level)
    results = cut(primal)
    tangents = cut(tangent_at(tensor, level))
    base = tensor if tensor._base is None else tensor._base
    for piece, tangent in zip(results, tangents, strict=True):
        if piece._base is primal:
            piece._base = base
        attach(piece, level, tangent)
    return results


# --- functions of the user's own --------------------------------------------------------------------------------------


def check_aliasing(result, tangent, ctx, inputs, tangents):
    """Raise RuntimeError unless a custom Function's `jvp` aliases the tangents as its `forward` aliases the inputs."""
    tensors = [(a, t) for a, t in zip(inputs, tangents, strict=True) if isinstance(a, Tensor)]
    if any(result is d for d in ctx._dirty):
        if not any(result is a and tangent is t for a, t in tensors):
            raise RuntimeError(
                "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is "
                "modifying an input inplace, then the jvp function must modify the corresponding gradient inplace."
            )
        return
    base = result._base
    given = next((t for a, t in tensors if base is not None and (base is a or base is a._base)), None)
    if given is None:
        return
    if tangent._base is None:
        raise RuntimeError(
            "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view."
        )
    whose = "the same base as the given grad input" if given._base is not None else "the given grad input"
    if tangent._base is not (given if given._base is None else given._base):
        raise RuntimeError(f"A custom Function is returning a view but the jvp is not returning a view of {whose}.")


def apply_function(function, args, kwargs, with_setup):
    """Run a custom Function on dual arguments; the tangents of its results come from its `jvp`."""
    from wengert.autograd.function import run

    level = newest_level(args)
    plain = primals(args)
    inner = newest_level(plain) is not None
    result, ctx = (apply_function if inner else run)(function, plain, kwargs, with_setup)
    given = []
    for a in args:
        tangent = tangent_at(a, level) if isinstance(a, Tensor) else None
        if tangent is None and isinstance(a, Tensor) and ctx.materialize_grads:
            tangent = wrap(np.zeros(a._array.shape, a.dtype.numpy), a.dtype)
        given.append(tangent)
    ctx._in_jvp = True
    try:
        tangents = function.jvp(ctx, *given)
    finally:
        del ctx._in_jvp
    many = isinstance(result, tuple)
    results = result if many else (result,)
    tangents = tangents if isinstance(tangents, tuple) else (tangents,)
    if len(tangents) != len(results):
        raise RuntimeError(
            f"jvp of {function.__name__} returned an incorrect number of tangents (expected {len(results)}, got "
            f"{len(tangents)})"
        )
    for r, tangent in zip(results, tangents, strict=True):
        if isinstance(r, Tensor) and r.dtype.differentiable and tangent is not None:
            check_aliasing(r, tangent, ctx, plain, given)
            if tangent._array.shape != r._array.shape:
                raise RuntimeError(
                    f"jvp of {function.__name__} returned a tangent of shape {list(tangent.shape)} for a result of "
                    "shape "
                    f"{list(r.shape)}"
                )
            attach(r, level, tangent)
    return result, ctx


declare.forward_ad = sys.modules[__name__]  # operations on dual tensors come here
