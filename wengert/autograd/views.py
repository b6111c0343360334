"""Writes in place, and what they do to the graph.

An in-place operation gives its tensor a new node. If the tensor is a view, the memory belongs to a base, so the base
gets
the new node: a `CopySlices`, which routes the part of the gradient that was overwritten through the operation and
the rest
past it. Every living view of the base then reads its history from the base's new node (`AsStridedBackward0`): a view's
gradient is a strided window on its base's.
"""

from weakref import ref

import numpy as np
from numpy.lib.stride_tricks import as_strided

from wengert.autograd.graph import (
    FREED,
    FREED_MESSAGE,
    AccumulateGrad,
    Node,
    Output,
    Version,
    bare_name,
    next_seq,
)
from wengert.kernels import overlap
from wengert.kernels.shape import root_of
from wengert.tensor import Tensor, data_ptr, new, wrap


def bump(tensor):
    """Count a write to the memory of `tensor`."""
    counter = tensor._counter
    if counter is None:
        tensor._counter = Version(1)
    else:
        counter.bump()


OVERLAP = (
    "unsupported operation: {} to a single memory location. Please clone() the tensor before performing the operation."
)
REPEATED = OVERLAP.format("more than one element of the written-to tensor refers")
SHARED = OVERLAP.format("some elements of the input tensor and the written-to tensor refer")


def refuse_crossing(target, *others):
    """Raise RuntimeError if an element of `target`, which is to be written, is another element of one of the `others`
    (tensors or None): what is read there would depend on the order of the writes.
    """
    for other in others:
        if other is not None and overlap.crossed(target._array, other._array):
            raise RuntimeError(SHARED)


def refuse_sharing(target, *others):
    """Raise RuntimeError if `target`, which is to be written, has an element in common with one of the `others`."""
    for other in others:
        if other is not None and overlap.shared(target._array, other._array):
            raise RuntimeError(SHARED)


def check_inplace(tensor):
    """Raise RuntimeError if autograd must not see `tensor` written in place: a leaf, a view of one, a fragile view."""
    node = tensor._node
    base = tensor._base
    if base is None:
        if type(node) is AccumulateGrad:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        return
    kind = tensor._view_kind
    if kind in UNRECORDED and base._node is not None:
        raise RuntimeError(made_unrecorded(kind, "is being modified inplace"))
    if type(node) is AccumulateGrad:
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    if kind in FRAGILE:
        raise RuntimeError(fragile(node, kind, "is being modified inplace"))
    if base._node is None and starts_at_view(node, base):
        raise RuntimeError(
            f"Output {getattr(node, 'nr', 0)} of {bare_name(node)} is a view of a view which was created in no_grad "
            f"mode and is being modified inplace with grad mode enabled. {AMBIGUOUS.format(block='no_grad')}"
        )
    # A base without a place in the graph, under a view that has one, was cut off after the view was made.
    if type(base._node) is AccumulateGrad or (base._node is None and node is not None):
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def check_unrecorded(tensor):
    """Raise RuntimeError if a write that is not recorded would change a base that is: the view was made outside the
    graph.
    """
    base_node = tensor._base._node
    if base_node is None or tensor._node is not None or not tensor.dtype.differentiable:
        return
    if type(base_node) is AccumulateGrad and tensor._view_kind not in UNRECORDED:
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    raise RuntimeError(made_unrecorded(tensor._view_kind, "is being modified inplace"))


def leave_unrecorded(view):
    """A view made outside the graph of a tensor that has a place in it: what is computed from it is recorded, as in
    PyTorch, and leads nowhere.
    """
    view._view_kind = "no_grad"
    if view.dtype.differentiable:
        view._node = nowhere(view)


def nowhere(view):
    """The end of the graph at a view that requires grad because its base does: what arrives there is dropped."""
    node = AccumulateGrad(view)
    node.edges, node.hidden, node.deaf = (None,), True, True
    return node


def follow(base):
    """The views of `base` that have no place in the graph require grad as it does, or no longer."""
    for reference in base._counter.views:
        view = reference()
        if view is None or view._base is not base or not view.dtype.differentiable:
            continue
        if view._node is None and base._node is not None:
            view._node = nowhere(view)
        elif view._node is not None and view._node.hidden and base._node is None:
            view._node = None


Tensor._tell_views = follow


# Views whose history can't be made anew after a write, by kind, and why.
FRAGILE = {
    "multi": "This view is the output of a function that returns multiple views. Such functions do not allow the "
    "output views to be modified inplace. You should replace the inplace operation by an out-of-place one.",
    "custom": "This view was created inside a custom Function (or because an input was returned as-is) and the "
    "autograd logic to handle view+inplace would override the custom backward associated with the custom Function, "
    "leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom "
    "Function.",
}


STRANDED = {*FRAGILE, "no_grad", "inference"}  # after a write to their base these have no history


def fragile(node, kind, what):
    """The sentence for a fragile view, which `node` made."""
    maker = bare_name(node) or "an operation"
    return f"Output {getattr(node, 'nr', 0)} of {maker} is a view and {what}. {FRAGILE[kind]}"


AMBIGUOUS = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
    "the view and the inplace either both inside the {block} block (if you don't want the inplace to be tracked) or "
    "both outside (if you want the inplace to be tracked)."
)
UNRECORDED = {  # kind of view: (the mode that made it, the mode in which it must not be written, the former's block)
    "no_grad": ("no_grad mode", "with grad mode enabled", "no_grad"),
    "inference": ("inference mode", "in normal mode", "inference_mode"),
}


def made_unrecorded(kind, change):
    made, written, block = UNRECORDED.get(kind, UNRECORDED["no_grad"])
    return f"A view was created in {made} and {change} {written}. {AMBIGUOUS.format(block=block)}"


def starts_at_view(node, base):
    """Whether the history of a view of `base` begins at a leaf that is itself a view of it, made unrecorded."""
    first = node.edges[0] if node is not None and node.edges else None
    return type(first) is AccumulateGrad and first._variable() is not base


def set_history(tensor, node):
    """Make `node`, the record of a write in place, the place of `tensor` in the graph, and tell its base and views."""
    base = tensor._base
    if base is None:
        move_retained(tensor, node)
        tensor._node = node
    else:
        base_node = CopySlices(base, tensor, node)
        move_retained(base, base_node)
        base._node = base_node
    counter = tensor._counter
    if counter.views:
        refresh_views(counter, base if base is not None else tensor, tensor)


def cut_history(tensor, name):
    """After a write whose result has no derivative (``x.gt_(y)``): what was recorded of the old values no longer
    leads here.
    """
    set_history(tensor, ZeroGrad(tensor, name))


def move_retained(tensor, node):
    """`retain_grad` follows the tensor to its new node."""
    old = tensor._node
    if old is not None and old.hooks is not None and old.hooks.retain is not None and old.hooks.retain() is tensor:
        from wengert.autograd.graph import hooks_of

        old.hooks.retain = None
        hooks_of(node).retain = ref(tensor)


def refresh_views(counter, base, written):
    """Give each living view of `base` its history anew, from the base's present node."""
    if base._node is None:
        return
    for reference in counter.views:
        view = reference()
        if view is not None and view._base is base:
            is_lost = view._view_kind in STRANDED and view is not written
            move = Stranded(base, view) if is_lost else AsStridedBackward0(base, view)
            move_retained(view, move)
            view._node = move


class Window:
    """Where a view lies in its base, in bytes: enough to cut the same window out of an array laid out like the base."""

    __slots__ = ("base_shape", "base_dtype", "shape", "strides", "offset", "dtype", "base_strides")

    def __init__(self, base, view):
        a, b = view._array, base._array
        self.base_shape, self.base_dtype = b.shape, base.dtype
        self.shape, self.dtype = a.shape, view.dtype
        self.offset = data_ptr(a) - data_ptr(b) if a.size else 0
        self.strides = a.strides
        self.base_strides = b.strides

    def blank(self):
        """An array of zeros with the strides of the base (gaps included)."""
        dtype = self.base_dtype.numpy
        extent = sum((n - 1) * s for n, s in zip(self.base_shape, self.base_strides, strict=True)) + dtype.itemsize
        if 0 in self.base_shape:
            extent = dtype.itemsize
        extent = max(extent, self.reach())
        memory = np.zeros(-(-extent // dtype.itemsize), dtype)
        return as_strided(memory, self.base_shape, self.base_strides)

    def reach(self):
        """Bytes from the base's first element to the window's last."""
        if 0 in self.shape:
            return 0
        return (
            self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + self.dtype.itemsize
        )

    def of(self, like_base):
        """The window on an array made by `blank`."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype.numpy)
        memory = root_of(like_base)
        raw = memory.reshape(-1).view(np.uint8)
        return np.ndarray(self.shape, self.dtype.numpy, raw.data, self.offset, self.strides)

    def copy_of(self, g):
        """`g`, shaped like the base, in an array laid out like the base."""
        laid_out = self.blank()
        laid_out[...] = g
        return laid_out


class CopySlices(Node):
    """The history of a base after a write through one of its views."""

    __slots__ = ("window", "fn")

    def __init__(self, base, view, fn):
        self.window = Window(base, view)
        self.fn = fn
        self.edges = (base._node, *fn.edges[1:])
        self.seq = next_seq()
        self.shape = base._array.shape
        self.versions = None
        self.hooks = None

    def apply(self, g, keep):
        if self.versions is FREED:
            raise RuntimeError(FREED_MESSAGE)
        g = self.window.copy_of(g)
        part = self.window.of(g)
        first, *others = self.fn.apply(part.copy(), keep)
        part[...] = 0 if first is None else first
        return (np.ascontiguousarray(g), *others)

    def apply_graph(self, g):
        window = self.window
        part = as_window(g, window)
        first, *others = self.fn.apply_graph(part)
        if first is None:
            first = wrap(np.zeros(window.shape, window.dtype.numpy), window.dtype)
        return (write_window(g, first, window), *others)

    def release(self):
        self.fn.release()


class AsStridedBackward0(Node):
    """The history of a view whose base was written in place: a window on the base."""

    __slots__ = ("window",)

    def __init__(self, base, view):
        self.window = Window(base, view)
        self.edges = (base._node,)
        self.seq = next_seq()
        self.shape = view._array.shape
        self.versions = None
        self.hooks = None

    def apply(self, g, keep):
        whole = self.window.blank()
        add_to(self.window.of(whole), g)
        return (np.ascontiguousarray(whole),)

    def apply_graph(self, g):
        window = self.window
        zeros = wrap(np.zeros(window.base_shape, window.base_dtype.numpy), window.base_dtype)
        return (write_window(zeros, g, window, accumulate=True),)


class Stranded(AsStridedBackward0):
    """The history of a fragile view after its base was written: PyTorch has none, so it is refused."""

    __slots__ = ("refusal",)

    def __init__(self, base, view):
        super().__init__(base, view)
        change = "its base or another view of its base has been modified inplace"
        # Of the operation that made the view, however often its base was written since.
        self.refusal = getattr(view._node, "refusal", None) or (
            made_unrecorded(view._view_kind, change)
            if view._view_kind in UNRECORDED
            else fragile(view._node, view._view_kind, change)
        )

    def apply(self, g, keep):
        raise RuntimeError(self.refusal)

    def apply_graph(self, g):
        return self.apply(g, True)


class ZeroGrad(Node):
    """The history of a tensor overwritten by something that has no derivative."""

    __slots__ = ("label",)

    def name(self):
        return self.label

    def __init__(self, tensor, label):
        self.label = label
        self.edges = (tensor._node,)
        self.seq = next_seq()
        self.shape = tensor._array.shape
        self.versions = None
        self.hooks = None

    def apply(self, g, keep):
        return (np.zeros_like(g),)

    def apply_graph(self, g):
        return (wrap(np.zeros_like(g._array), g.dtype),)


def overlaps(window):
    """Whether elements share memory in steps other than zero, as those of `unfold` do."""
    reach = 0
    for stride, extent in sorted((abs(s), n) for s, n in zip(window.strides, window.shape, strict=True) if s and n > 1):
        if stride <= reach:
            return True
        reach += stride * (extent - 1)
    return False


def add_to(window, g):
    """Add `g` into a window, whose elements may overlap (an expanded view)."""
    if overlaps(window):
        # A sum over windows that share elements: element by element, each found by its distance in memory.
        places = sum(
            (np.arange(n).reshape(-1, *(1,) * (window.ndim - 1 - axis)) * stride for axis, (n, stride) in
             enumerate(zip(window.shape, window.strides, strict=True))), np.zeros(window.shape, np.int64),
        )  # fmt: skip
        distinct, which = np.unique(places, return_inverse=True)
        total = np.zeros(distinct.size, window.dtype)
        np.add.at(total, which.reshape(-1), np.asarray(g).reshape(-1))
        window[...] = window + total[which].reshape(window.shape)
    elif any(stride == 0 and extent > 1 for stride, extent in zip(window.strides, window.shape, strict=True)):
        axes = tuple(i for i, (s, n) in enumerate(zip(window.strides, window.shape, strict=True)) if s == 0 and n > 1)
        index = tuple(slice(0, 1) if i in axes else slice(None) for i in range(window.ndim))
        window[index] += g.sum(axis=axes, keepdims=True)
    else:
        window += g


# On tensors the same two moves are a gather and a scatter by element number, which are operations with derivatives.


def positions(window):
    """For each element of the window, the number of the base element that it is (row-major)."""
    count = int(np.prod(window.base_shape, dtype=np.int64))
    numbers = np.arange(count, dtype=np.int64).reshape(window.base_shape)
    if window.dtype.itemsize != window.base_dtype.itemsize:
        raise NotImplementedError("create_graph=True through an in-place write to a view of another element size")
    like = Window.__new__(Window)
    scale = np.dtype(np.int64).itemsize
    size = window.base_dtype.itemsize
    like.base_shape, like.shape = window.base_shape, window.shape
    from wengert.dtypes import int64

    like.base_dtype = like.dtype = int64
    like.strides = tuple(s // size * scale for s in window.strides)
    like.base_strides = tuple(s // size * scale for s in window.base_strides)
    like.offset = window.offset // size * scale
    return like.of(like.copy_of(numbers)).copy()


def as_window(g, window):
    return g.reshape(-1)[wrap(positions(window).reshape(-1))].reshape(window.shape)


def write_window(g, part, window, accumulate=False):
    index = wrap(positions(window).reshape(-1))
    return g.reshape(-1).index_put((index,), part.reshape(-1), accumulate).reshape(window.base_shape)


def saved_output(tensor):
    """A result as its own node keeps it: the memory and the version counter, but not the tensor, which holds the
    node.
    """
    counter = tensor._counter
    if counter is None:
        counter = tensor._counter = Version()
    kept = new(SavedOutput)
    kept._array = tensor._array
    kept.dtype = tensor.dtype
    kept._node = kept._base = None
    kept._counter = counter
    return kept


class SavedOutput(Tensor):
    """A result kept by the node that made it; `with_node` gives it back its place in the graph."""

    __slots__ = ()
    _is_saved_output = True

    def with_node(self, node):
        tensor = wrap(self._array, self.dtype)
        tensor._counter = self._counter
        if self.dtype.differentiable:
            tensor._node = (
                node if node.outputs == 1 else Output(node, self.number_in(node), self._array.shape, self.dtype)
            )
        revived = self.__dict__.get("_revived")  # it had tangents, see autograd.forward_ad
        if revived is not None:
            tensor.__class__, tensor._tangents = revived
        return tensor

    def number_in(self, node):
        """Which of the node's results this is."""
        if node.outputs == 1:
            return 0
        return next(i for i, name in enumerate(node.operation.outputs) if getattr(node, f"s_{name}", None) is self)


def copy_of(tensor):
    """The present values of a tensor that is about to be overwritten, with its place in the graph."""
    copy = wrap(tensor._array.copy(), tensor.dtype)
    copy._node = tensor._node
    return copy
