"""What becomes of the tensors that the graph keeps: packed as they are saved, unpacked when backward needs them.

A pair of hooks (`saved_tensors_hooks`) stands between a node and each tensor that it keeps: what ``pack`` returns is
kept
instead, and ``unpack`` must turn it into a tensor again. While a pair is in force in a thread, an observer of recorded
operations looks at each new node and replaces the kept tensors by `Packed`; the node takes a subclass of its class
whose
`apply` unpacks first. Operations themselves know nothing of this.
"""

import threading

from wengert.autograd.graph import FREED, FREED_MESSAGE, Output, rare, restore, verify, version_of
from wengert.autograd.modes import ContextDecorator, no_grad
from wengert.tensor import Tensor, detach_plain, wrap


class _State(threading.local):
    disabled = None  # the message with which hooks are refused

    def __init__(self):
        self.stack = []


state = _State()


class Packed:
    """Stands in a node's slot for a tensor: what the pack hook returned, and the tensor's place in the graph."""

    __slots__ = ("payload", "unpack_hook", "node", "number")
    _counter = None  # versions are not tracked through hooks

    def __init__(self, tensor, hooks, node=None, number=None):
        pack, self.unpack_hook = hooks
        self.node, self.number = node, number
        # An input as it is. Not so a result: it would hold the node that holds it.
        given = tensor if number is None else detach_plain(tensor)
        before = version_of(given)
        with no_grad():
            self.payload = pack(given)
        if version_of(given) != before:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook "
                "cannot be "
                "modified by in-place operations as this can lead to unexpected side-effects. Please open an issue if "
                "you "
                "need to perform in-place operations on the input to a pack hook."
            )

    def unpack(self, owner):
        """The tensor again, in its place in the graph; `owner` is the node that keeps it."""
        with no_grad():
            data = self.unpack_hook(self.payload)
        if not isinstance(data, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(data).__name__}"
            )
        tensor = wrap(data._array, data.dtype)
        if self.number is None:
            tensor._node = self.node
        else:
            tensor._node = owner if owner.outputs == 1 else Output(owner, self.number, data._array.shape, data.dtype)
        return tensor


def packed(value, owner, hooks):
    """`value`, kept by `owner`, as a Packed; None and what is packed already stay as they are."""
    if value is None or not isinstance(value, Tensor) or value._is_number:
        return value
    if getattr(value, "_is_saved_output", False):
        return Packed(value, hooks, number=value.number_in(owner))
    return Packed(value, hooks, node=value._node)


def pack_recorded(operation, values, result):
    """Observe a recorded operation: pack what its node keeps."""
    if not state.stack:
        return
    results = result if isinstance(result, (tuple, list)) else (result,)
    for tensor in results:
        node = tensor._node if isinstance(tensor, Tensor) else None
        if node is not None and tensor._base is not None and type(tensor._base._node).__name__ == "CopySlices":
            node = tensor._base._node  # a write through a view: the record is the base's
        if type(node) is Output:
            node = node.parent
        node = getattr(node, "fn", node)
        if node is not None:
            pack_node(node, state.stack[-1])
            return


rare.on_record.append(pack_recorded)


def slots_of(node):
    """The slots of `node` that hold tensors, or tuples of them; a user's Function sees to its own."""
    if isinstance(type(node).saved_tensors, property):
        return ()
    return type(node).saved_tensors or tuple(
        s for s in ("s_indices", "s_tensors") if isinstance(getattr(node, s, None), (tuple, list))
    )


def pack_node(node, hooks):
    """Replace all tensors that `node` keeps."""
    if node.versions is FREED or isinstance(node, UnpacksFirst):
        return
    slots = slots_of(node)
    if not slots:
        return
    for slot in slots:
        value = getattr(node, slot)
        many = isinstance(value, (tuple, list))
        setattr(node, slot, tuple(packed(v, node, hooks) for v in value) if many else packed(value, node, hooks))
    if node.versions is not None:
        node.versions = (0,) * len(node.versions)
    make_unpacking(node)


class UnpacksFirst:
    """Mixed into the class of a node whose slots hold `Packed`."""

    __slots__ = ()

    def apply(self, g, keep):
        results = self.with_tensors(lambda: super(UnpacksFirst, self).apply(g, True))
        if not keep:
            self.release()
        return results

    def apply_graph(self, g):
        return self.with_tensors(lambda: super(UnpacksFirst, self).apply_graph(g))

    def with_tensors(self, run):
        """Run with every `Packed` replaced by its tensor, each unpacked once."""
        if self.versions is FREED:
            raise RuntimeError(FREED_MESSAGE)
        kept = {slot: getattr(self, slot) for slot in slots_of(self)}
        try:
            for slot, value in kept.items():
                many = isinstance(value, (tuple, list))
                setattr(self, slot, tuple(unpacked(v, self) for v in value) if many else unpacked(value, self))
            return run()
        finally:
            for slot, value in kept.items():
                setattr(self, slot, value)


def unpacked(value, owner):
    return value.unpack(owner) if type(value) is Packed else value


_unpacking = {}


def make_unpacking(node):
    """Give `node` the class that unpacks, under the same name."""
    kind = type(node)
    if issubclass(kind, UnpacksFirst):
        return
    found = _unpacking.get(kind)
    if found is None:
        found = _unpacking[kind] = type(
            kind.__name__, (UnpacksFirst, kind), {"__slots__": (), "__module__": kind.__module__}
        )
    node.__class__ = found


class SavedTensor:
    """``node._raw_saved_<name>``: the kept tensor's holder, to which a pair of hooks can be given."""

    def __init__(self, node, public_name):
        names = node.saved
        if public_name not in names:
            raise AttributeError(f"{node.name()!r} object has no attribute '_raw_saved_{public_name}'")
        self.node, self.slot = node, names[public_name]
        self.value()

    def value(self, message=FREED_MESSAGE):
        if self.node.versions is FREED:
            raise RuntimeError(message)
        return getattr(self.node, self.slot)

    @property
    def data(self):
        """The kept tensor without its place in the graph."""
        return detach_plain(restore(self.node, self.value()))

    def register_hooks(self, pack_hook, unpack_hook):
        """Keep ``pack_hook(tensor)`` from now on, and call ``unpack_hook`` on it when the tensor is needed."""
        value = self.value(
            "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph "
            "are freed "
            "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through "
            "the graph "
            "a second time or if you need to access saved variables after calling backward."
        )
        if value is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        if type(value) is Packed:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of "
                "hooks is allowed at a time."
            )
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError("incompatible function arguments: hooks must be callable")
        node = self.node
        if isinstance(value, Tensor):
            if not isinstance(node, UnpacksFirst):
                verify(node)
            setattr(node, self.slot, packed(value, node, (pack_hook, unpack_hook)))
            if node.versions is not None and self.slot in node.saved_tensors:
                place = node.saved_tensors.index(self.slot)
                node.versions = (*node.versions[:place], 0, *node.versions[place + 1 :])
            make_unpacking(node)


class saved_tensors_hooks(ContextDecorator):
    """Inside, each tensor kept for backward is kept as ``pack_hook(tensor)``, and ``unpack_hook`` of that is used in
    backward.

    Args:
        pack_hook: called with the tensor (outside the graph); may return anything.
        unpack_hook: called with that; must return a tensor with the same values.
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def clone(self):
        return self

    def __enter__(self):
        if state.disabled is not None:
            raise RuntimeError(state.disabled)
        state.stack.append((self.pack_hook, self.unpack_hook))
        rare.enter()

    def __exit__(self, *exc):
        state.stack.pop()
        rare.leave()


class disable_saved_tensors_hooks(ContextDecorator):
    """Inside, `saved_tensors_hooks` raises RuntimeError(error_message)."""

    def __init__(self, error_message):
        self.error_message = error_message

    def clone(self):
        return self

    def __enter__(self):
        if state.stack:
            raise RuntimeError(self.error_message)
        self.previous, state.disabled = state.disabled, self.error_message

    def __exit__(self, *exc):
        state.disabled = self.previous


class save_on_cpu(saved_tensors_hooks):
    """Keep what backward needs in main memory: where it is already, unless `pin_memory` asks for a copy of its own."""

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda t: t.clone() if pin_memory else t.cpu(), lambda t: t)


class allow_mutation_on_saved_tensors(ContextDecorator):
    """Inside, tensors that backward needs may be written in place: the graph keeps copies of its own.

    PyTorch copies when the write happens, this when the tensor is saved; gradients are the same.
    """

    def __init__(self):
        self.hooks = saved_tensors_hooks(self.pack, self.unpack)
        self.open = False

    def clone(self):
        return type(self)()

    def pack(self, tensor):
        return tensor.clone()

    def unpack(self, copy):
        if not self.open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was "
                "originally recorded."
            )
        return copy

    def __enter__(self):
        if state_of_mutation.active:
            raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
        state_of_mutation.active = self.open = True
        self.hooks.__enter__()
        return self

    def __exit__(self, *exc):
        self.hooks.__exit__(*exc)
        state_of_mutation.active = self.open = False


class _Mutation(threading.local):
    active = False


state_of_mutation = _Mutation()


def hooks_in_force():
    """The innermost pair of hooks of this thread, or None."""
    return state.stack[-1] if state.stack else None


__all__ = [
    "SavedTensor",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "save_on_cpu",
    "saved_tensors_hooks",
]
