"""The graph: nodes, their edges, what they keep, and the version counters that protect what they keep.

A `Node` stands for one recorded operation. It lives as long as some tensor made from it does; it points backward only,
to the nodes of its inputs (`edges`), so a graph has no reference cycles and goes away with its last root. A node keeps
exactly what its derivative formulas name. Each kept tensor is compared with the version it had when it was kept.

Every class of node is generated from a declaration (see `wengert.ops.declare`), except for the few here:
`AccumulateGrad`, which ends the graph at a leaf and holds its `.grad`; `Output`, one of several results of a node;
`Cast`, a change of dtype that an operation made on its own account.

Two methods do the work of a node:

- ``apply(g, keep)``: arrays in, arrays out, the gradient for each edge (None where the edge is None); frees what the
node
  kept unless `keep`.
- ``apply_graph(g)``: the same formulas on Tensors, recorded, for ``create_graph=True``.
"""

import importlib
import re
import threading
import warnings
import weakref
from collections import OrderedDict, namedtuple
from itertools import count

from wengert.outside import missing

next_seq = count(-1, -1).__next__  # newest first in a min-heap; thread-safe, since it is one C call


class GradMode(threading.local):
    """Per thread: whether operations are recorded, and whether results are inference tensors."""

    enabled = True
    inference = False
    multithreading = True  # what `set_multithreading_enabled` was told


grad_mode = GradMode()


class Inside(threading.local):
    """Per thread: how many forward functions of user-defined Functions are running; each is one operation outside."""

    functions = 0


def no_recast(name, written=False):
    """Nobody has entered `autocast`: every operation runs as it is."""
    return


class Rare:
    """The one flag that the hot path of an operation looks at for everything unusual, in any thread.

    `active` is true while at least one reason (a recorder, an override mode, inference mode, ...) is in force.
    `on_record` are called with (operation, inputs, result) for each recorded result, `on_result` with
    (kind, inputs, result, node) where a value leaves the graph, `on_pass` with (nodes, wanted, over) when a backward
    pass begins and when it is over, `on_composite` with (operation, args, kwargs, result) after an operation that is
    written with others. `recast` says how the operation of a name is to run where autocast is in force (see
    `wengert.amp.autocast_mode`).
    """

    __slots__ = (
        "active", "reasons", "lookers", "on_record", "on_composite", "on_result", "on_pass", "inside", "recast",
    )  # fmt: skip

    def __init__(self):
        self.active = False
        self.reasons = 0
        self.lookers = 0  # how many of the reasons only look on: a recorder
        self.on_record = []
        self.on_composite = []
        self.on_result = []
        self.on_pass = []
        self.inside = Inside()
        self.recast = no_recast

    def enter(self):
        with _rare_lock:
            self.reasons += 1
            self.active = True

    def is_changed(self):
        """Whether anything is in force that may change what an operation does, rather than look on."""
        return self.reasons > self.lookers

    def leave(self):
        with _rare_lock:
            self.reasons -= 1
            self.active = self.reasons > 0


_rare_lock = threading.Lock()
rare = Rare()


class Version:
    """Shared by all aliases of one piece of memory: how often it was written in place, and which views look at it.

    `written` is the place of the last write, set only while `wengert.lens` records.
    """

    __slots__ = ("value", "views", "written")

    def __init__(self, value=0):
        self.value = value
        self.views = None

    def bump(self):
        self.value += 1

    def register(self, ref):
        """Remember a view weakly, so that an in-place change can give it a new place in the graph."""
        views = self.views
        if views is None:
            self.views = [ref]
            return
        views.append(ref)
        count = len(views)
        if count >= 64 and count & (count - 1) == 0:  # dead entries are dropped each time the list doubles
            self.views = [r for r in views if r() is not None]


class InferenceVersion(Version):
    """The counter of tensors made in inference mode: they are not tracked, so autograd must not rely on them."""

    __slots__ = ()

    @property
    def value(self):
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use "
            "it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
        )

    def __init__(self):
        self.views = None

    def register(self, ref):
        """Views are not remembered."""

    def bump(self):
        if not grad_mode.inference:
            raise RuntimeError(
                "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get "
                "a "
                "normal tensor before doing inplace update. See https://github.com/pytorch/rfcs/pull/17 for more "
                "details."
            )


INFERENCE = InferenceVersion()


class _Freed:
    def __repr__(self):
        return "<freed>"


FREED = _Freed()

FREED_MESSAGE = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)


def version_of(tensor):
    """The version to remember beside a saved tensor; raises RuntimeError for inference tensors."""
    counter = None if tensor is None else tensor._counter
    return 0 if counter is None else counter.value


def verify(node):
    """Raise RuntimeError if what `node` saved was freed or has since been written in place."""
    versions = node.versions
    if versions is FREED:
        raise RuntimeError(FREED_MESSAGE)
    for position, name in enumerate(node.saved_tensors):
        tensor = getattr(node, name)
        if tensor is None or tensor._counter is None:
            continue
        expected = versions[position] if versions else 0
        if tensor._counter.value != expected:
            raise RuntimeError(modified_message(node, tensor, expected))


def modified_message(node, tensor, expected):
    from wengert.dtypes import TENSOR_TYPE_NAMES

    kind = TENSOR_TYPE_NAMES[tensor.dtype]
    made_here = getattr(tensor, "_is_saved_output", False)
    source = node if made_here else tensor._node if name_of(tensor._node) else None
    origin = f", which is output {getattr(source, 'nr', 0)} of {bare_name(source)}," if source is not None else ""
    message = (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{kind} {list(tensor._array.shape)}]{origin} is at version {tensor._counter.value}; expected version "
        f"{expected} "
        f"instead. It was saved by {node.name()} for its derivative"
    )
    written = getattr(tensor._counter, "written", None)
    if node.site_ is not None and written is not None:
        saved = node.site_.place
        return f"{message} at {saved} (`{saved.text}`), and written at {written} (`{written.text}`)."
    hint = "Hint: enable anomaly detection to find the operation that failed to compute its gradient, with "
    return f"{message}. {hint}torch.autograd.set_detect_anomaly(True, check_nan=False)."


def name_of(node):
    """The name users see: of the operation for one of several outputs, None for a leaf."""
    if node is None or type(node) is AccumulateGrad:
        return None
    return node.parent.name() if type(node) is Output else node.name()


def bare_name(node):
    """The name of the operation, without the suffix of its node."""
    name = name_of(node)
    return None if name is None else re.sub(r"Backward\d*$", "", name)


class RemovableHandle:
    """Removes a hook from the dictionary that it was put into.

    The handle holds the dictionary weakly: it never keeps a tensor, a node or a module alive.
    It is a context manager that removes the hook at the end of the block.
    """

    next_id = 0

    def __init__(self, hooks_dict, *, extra_dict=None):
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extras = [] if extra_dict is None else extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extras)

    def remove(self):
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self):
        state = (self.hooks_dict_ref(), self.id)
        return (*state, tuple(ref() for ref in self.extra_dict_ref)) if self.extra_dict_ref else state

    def __setstate__(self, state):
        hooks = OrderedDict() if state[0] is None else state[0]
        self.hooks_dict_ref = weakref.ref(hooks)
        self.id = state[1]
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)
        extras = state[2] if len(state) > 2 else ()
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if d is None else d) for d in extras)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def add_hook(hooks, hook):
    """Enter `hook` into a dictionary of hooks, last; returns its handle."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class Hooks:
    """All hooks of one node, in the order in which they run."""

    __slots__ = ("tensor", "retain", "pre", "post", "post_accumulate")

    def __init__(self):
        self.tensor = OrderedDict()  # on the gradient of the tensor that this node made
        self.retain = None  # a weak reference to the tensor that asked for its gradient to be kept
        self.pre = OrderedDict()  # on the gradients that arrive at the node
        self.post = OrderedDict()  # on what leaves the node
        self.post_accumulate = OrderedDict()  # on a leaf, after its `.grad` changed


def hooks_of(node):
    """The node's hooks, made on first use."""
    if node.hooks is None:
        node.hooks = Hooks()
    return node.hooks


# Nodes that belong to the engine and not to an operation; PyTorch names them with their namespace.
ENGINE_NODES = frozenset({"AccumulateGrad", "CopySlices", "CopyBackwards", "NotImplemented", "GraphRoot"})


class Node:
    """One recorded operation, as ``tensor.grad_fn`` shows it."""

    __slots__ = ("edges", "seq", "shape", "versions", "hooks", "__weakref__", "__dict__")

    saved: dict = {}  # what is kept: the public name ("self" for `_saved_self`) and the slot
    saved_tensors = ()  # the slots that hold tensors, whose versions are checked
    site_ = None  # where it was called, while `wengert.lens` records
    hidden = False
    deaf = False  # an end of the graph whose tensor takes no gradients
    outputs = 1
    numbers = 0  # how many operands of the operation were numbers; each shows as an edge to nowhere

    def name(self):
        """The operation's name with PyTorch's suffix, such as ``MulBackward0``."""
        name = type(self).__name__
        return f"torch::autograd::{name}" if name in ENGINE_NODES else name

    def __repr__(self):
        return f"<{self.name().rpartition(':')[2]} object at {id(self):#x}>"

    @property
    def next_functions(self):
        """A (node, output number) pair for each input; (None, 0) for one that needs no gradient."""
        return shown_edges(self.edges) + ((None, 0),) * self.numbers

    @property
    def metadata(self):
        """A dict for the user's own notes about this node; anomaly mode puts the forward traceback here."""
        return self.__dict__.setdefault("metadata_", {})

    @property
    def requires_grad(self):
        return True

    def _sequence_nr(self):
        return -self.seq

    def _is_same_input(self, other):
        return self is other

    def register_hook(self, fn):
        """Call ``fn(grad_inputs, grad_outputs)`` after this node ran; what it returns (a tuple) replaces
        grad_inputs.
        """
        return add_hook(hooks_of(self).post, fn)

    def register_prehook(self, fn):
        """Call ``fn(grad_outputs)`` before this node runs; what it returns (a tuple) replaces grad_outputs."""
        return add_hook(hooks_of(self).pre, fn)

    def __getattr__(self, name):
        if name.startswith("_saved_"):
            return saved_value(self, name[7:])
        if name.startswith("_raw_saved_"):
            return above("SavedTensor")(self, name[11:])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self):
        return [*super().__dir__(), *(f"_saved_{name}" for name in self.saved)]

    def apply(self, g, keep):
        raise NotImplementedError(f"{self.name()} has no derivative")

    def apply_graph(self, g):
        raise NotImplementedError(f"{self.name()} has no derivative that can itself be differentiated")

    def release(self):
        """Drop everything this node keeps."""


def shown_edges(edges):
    """The pairs that ``next_functions`` shows for edges."""
    return tuple(map(public_edge, edges))


def public_edge(edge):
    """An edge as PyTorch shows it: (node, output number), hidden nodes skipped."""
    while edge is not None and edge.hidden:
        edge = edge.edges[0]
    if edge is None:
        return (None, 0)
    return (edge.parent, edge.nr) if type(edge) is Output else (edge, 0)


def saved_value(node, public_name):
    """What ``node._saved_<name>`` shows: a tensor (with its place in the graph) or a plain value; raises if freed."""
    names = node.saved
    if public_name not in names:
        raise AttributeError(f"{node.name()!r} object has no attribute '_saved_{public_name}'")
    if node.versions is FREED:
        raise RuntimeError(FREED_MESSAGE)
    value = getattr(node, node.saved[public_name])
    return restore(node, value)


def restore(node, value):
    """A kept value as a formula on Tensors sees it: a kept result regains its node; hooks unpack what they packed."""
    unpack = getattr(value, "unpack", None)
    if unpack is not None:
        return unpack(node)
    if getattr(value, "_is_saved_output", False):
        return value.with_node(node)
    detached_at = getattr(value, "_detached_at", None)
    if detached_at is not None and node.seq > detached_at:
        raise RuntimeError(
            "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_(). This is not "
            "supported, please "
            "use out-of-place `.detach()` instead"
        )
    return value


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds what arrives to the leaf's `.grad`, which lives here.

    The leaf holds this node, and the node holds the leaf weakly, so that there is no cycle; should the leaf be dropped
    while a graph still ends in it, `variable` makes an equal one from the same memory.
    """

    __slots__ = ("grad", "_variable", "_array", "_dtype")

    def __init__(self, leaf):
        self.edges = ()
        self.seq = 0
        self.shape = leaf._array.shape
        self.versions = None
        self.hooks = None
        self.grad = None
        self._variable = weakref.ref(leaf)
        self._array = leaf._array
        self._dtype = leaf.dtype

    @property
    def variable(self):
        leaf = self._variable()
        if leaf is None:
            from wengert.tensor import wrap

            leaf = wrap(self._array, self._dtype)
            leaf._node = self
            self._variable = weakref.ref(leaf)
        return leaf


class Output(Node):
    """One of several results of a node: gathers its gradient and hands it to the parent under its number."""

    __slots__ = ("parent", "nr", "dtype")
    hidden = False

    def __init__(self, parent, nr, shape, dtype):
        self.parent = parent
        self.edges = (parent,)
        self.nr = nr
        self.seq = next_seq()
        self.shape = shape
        self.dtype = dtype
        self.versions = None
        self.hooks = None


class Cast(Node):
    """A dtype change that an operation made for its own use; invisible in `next_functions`."""

    __slots__ = ("dtype",)
    hidden = True

    def __init__(self, edge, dtype):
        self.edges = (edge,)
        self.seq = next_seq()
        self.shape = edge.shape
        self.versions = None
        self.hooks = None
        self.dtype = dtype

    def apply(self, g, keep):
        if g.dtype.kind == "c" and not self.dtype.is_complex:
            g = g.real
        return (g.astype(self.dtype.numpy),)

    def apply_graph(self, g):
        if g.dtype.is_complex and not self.dtype.is_complex:
            g = g.real
        return (g.to(self.dtype),)


def warn_non_leaf_grad():
    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
        "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf "
        "Tensor, "
        "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
        "the leaf Tensor instead.",
        UserWarning,
        stacklevel=3,
    )


# --- what users find here ---------------------------------------------------------------------------------------------


class GradientEdge(namedtuple("GradientEdge", ["node", "output_nr", "ownership_token"], defaults=(None,))):
    """A place in the graph where a gradient arrives: result number `output_nr` of `node`."""

    __slots__ = ()


def get_gradient_edge(tensor):
    """The edge at which the gradient of `tensor` arrives, for `grad` in place of the tensor itself.

    Raises RuntimeError for a tensor that does not require grad.
    """
    node = tensor._node
    if node is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(*public_edge(node))


def increment_version(tensor):
    """Count a write to a tensor (or to each of several) that autograd did not see."""
    for t in tensor if isinstance(tensor, (list, tuple)) or hasattr(tensor, "__next__") else (tensor,):
        if t._counter is None:
            t._counter = Version()
        t._counter.bump()


_ABOVE = {
    "SavedTensor": "saved",
    "saved_tensors_hooks": "saved",
    "disable_saved_tensors_hooks": "saved",
    "save_on_cpu": "saved",
    "allow_mutation_on_saved_tensors": "saved",
    "register_multi_grad_hook": "multi_grad",
}


def above(name):
    """What belongs to this page but lives on a higher floor."""
    return getattr(importlib.import_module(f"wengert.autograd.{_ABOVE[name]}"), name)


def __getattr__(name):
    if name in _ABOVE:
        return above(name)
    raise missing(__name__, name)
