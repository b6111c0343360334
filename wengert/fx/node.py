"""A node: one call in a graph, with its arguments, which may be other nodes.

`op` says what kind it is ("placeholder", "get_attr", "call_function", "call_method", "call_module", "output"), `target`
what is called or fetched. Nodes form a ring through `next` and `prev`, in the order of execution.
"""

import builtins
import inspect
import operator
import types

import wengert
from wengert import overrides
from wengert.fx.immutable_collections import immutable_dict, immutable_list

__all__ = ["Argument", "Node", "Target", "has_side_effect", "map_aggregate", "map_arg"]

Argument = object  # numbers, strings, dtypes, nodes, and lists, tuples, slices and dictionaries of these
Target = object  # a function, or the name of a method, module or attribute

OPS = ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root")
# Calls that do something besides computing their result, so that they stay though nobody uses it.
EFFECTFUL = {wengert._assert}


def has_side_effect(fn):
    """Have dead-code elimination keep calls of `fn`; returns it, so that it can be used as a decorator."""
    EFFECTFUL.add(fn)
    return fn


def map_aggregate(a, fn):
    """`a` with `fn` applied to everything in it that is not itself a list, tuple, dictionary or slice."""
    if isinstance(a, tuple):
        items = [map_aggregate(x, fn) for x in a]
        return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
    if isinstance(a, list):
        return immutable_list(map_aggregate(x, fn) for x in a)
    if isinstance(a, dict):
        return immutable_dict((k, map_aggregate(v, fn)) for k, v in a.items())
    if isinstance(a, slice):
        return slice(map_aggregate(a.start, fn), map_aggregate(a.stop, fn), map_aggregate(a.step, fn))
    return fn(a)


def map_arg(a, fn):
    """`a` with `fn` applied to every node in it."""
    return map_aggregate(a, lambda x: fn(x) if isinstance(x, Node) else x)


# Where functions of the library are known to programs, in the order in which they are looked for.
HOMES = ("", "nn.functional", "special", "linalg", "fft", "sparse", "nn.init", "autograd")


def qualified_name(function):
    """The dotted name by which a program would import `function`: ``torch.nn.functional.gelu``."""
    name = getattr(function, "__name__", None) or type(function).__name__
    if getattr(builtins, name, None) is function:
        return name
    if isinstance(function, types.MethodDescriptorType | types.WrapperDescriptorType):
        return f"{function.__objclass__.__module__}.{function.__objclass__.__qualname__}.{name}"
    place = getattr(function, "__module__", None) or ""
    if is_ours(place):
        for home in HOMES:
            module = wengert
            for part in filter(None, home.split(".")):
                module = getattr(module, part)
            if getattr(module, name, None) is function:
                return ".".join(filter(None, ("torch", home, name)))
        if overrides.is_tensor_method_or_property(function):
            return f"torch.Tensor.{name}"
        place = "torch" + place.removeprefix("wengert").removeprefix("torch")
    qualified = getattr(function, "__qualname__", name)
    return f"{place.replace('_operator', 'operator')}.{name if '<' in qualified else qualified}"


def is_ours(place):
    return place.partition(".")[0] in ("wengert", "torch")


def type_name(kind):
    """A type as an annotation would have it."""
    if isinstance(kind, type) and not isinstance(kind, types.GenericAlias):
        if kind.__module__ == "builtins":
            return kind.__qualname__
        place = "torch" + kind.__module__.removeprefix("wengert") if is_ours(kind.__module__) else kind.__module__
        if place == "torch.tensor":
            place = "torch"
        return f"{place}.{kind.__qualname__}"
    if kind is ...:
        return "..."
    if isinstance(kind, types.FunctionType):
        return kind.__name__
    return repr(kind)


class Node:
    """One call of a `Graph`; made by the graph's methods, never directly.

    Attributes:
        graph, name, op, target, args, kwargs: what it is; `args` and `kwargs` may be assigned.
        users: the nodes that use it, as the keys of a dictionary.
        type: the annotation of its result, if there is one.
        meta: a dictionary for whatever passes over the graph have to say about it.
        next, prev: its neighbours in the order of execution.
    """

    def __init__(self, graph, name, op, target, args, kwargs, return_type=None):
        if op not in OPS:
            raise AssertionError(f"Node op must be one of {OPS}, got {op}")
        if op == "call_function":
            if not callable(target):
                raise ValueError(
                    f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target).__name__} but a "
                    "Callable is expected"
                )
        elif op != "root" and not isinstance(target, str):
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target).__name__} but a str "
                "is expected"
            )
        self.graph, self.name, self.op, self.target, self.type = graph, name, op, target, return_type
        self.users = {}
        self._inputs = {}
        self._prev = self._next = self
        self._erased = False
        self._repr_fn = None
        self.meta = {}
        self._args, self._kwargs = (), {}
        self._use(args, kwargs)

    # --- its place ----------------------------------------------------------------------------------------------------

    @property
    def next(self):
        """The node after this one (the graph's root after the last)."""
        return self._next

    @property
    def prev(self):
        """The node before this one."""
        return self._prev

    def prepend(self, x):
        """Move `x` to just before this node."""
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if self is x:
            return
        x._remove_from_list()
        before = self._prev
        before._next, x._prev = x, before
        x._next, self._prev = self, x

    def append(self, x):
        """Move `x` to just after this node."""
        self._next.prepend(x)

    def _remove_from_list(self):
        self._prev._next, self._next._prev = self._next, self._prev

    def __lt__(self, other):
        """Whether this node runs before `other`."""
        order = {node: i for i, node in enumerate(self.graph.nodes)}
        return order[self] < order[other]

    def __gt__(self, other):
        return other < self

    def __le__(self, other):
        return self is other or self < other

    def __ge__(self, other):
        return self is other or other < self

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    # --- its arguments ------------------------------------------------------------------------------------------------

    @property
    def args(self):
        """The positional arguments; assign a tuple to replace them."""
        return self._args

    @args.setter
    def args(self, value):
        self._use(value, self._kwargs)

    @property
    def kwargs(self):
        """The keyword arguments; assign a dictionary to replace them."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, value):
        self._use(self._args, value)

    def _use(self, args, kwargs):
        for node in self._inputs:
            node.users.pop(self, None)
        self._inputs = {}

        def seen(node):
            self._inputs.setdefault(node)
            node.users.setdefault(self)
            return node

        self._args = map_arg(tuple(args), seen)
        self._kwargs = map_arg(dict(kwargs), seen)

    @property
    def all_input_nodes(self):
        """The nodes among its arguments, each once, in the order in which they are met."""
        return list(self._inputs)

    def update_arg(self, idx, arg):
        """Replace the positional argument number `idx`."""
        args = list(self.args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx, arg):
        """Put `arg` before the positional argument number `idx`."""
        if not 0 <= idx <= len(self.args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self.args[:idx], arg, *self.args[idx:])

    def update_kwarg(self, key, arg):
        """Replace (or add) one keyword argument."""
        self.kwargs = {**self.kwargs, key: arg}

    def replace_all_uses_with(self, replace_with, delete_user_cb=lambda user: True, *, propagate_meta=False):
        """Have every user of this node use `replace_with`; returns those that now do.

        Args:
            delete_user_cb: asked of each user whether it is to change.
            propagate_meta: give `replace_with` this node's `meta`.
        """
        if propagate_meta:
            if replace_with.meta:
                raise AssertionError(
                    "Called node.replace_all_uses_with(replace_with, propagate_meta=True), but replace_with already "
                    "has .meta keys"
                )
            replace_with.meta.update(self.meta)
        changed = [user for user in list(self.users) if delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    def replace_input_with(self, old_input, new_input):
        """Use `new_input` wherever `old_input` is used."""
        swap = lambda node: new_input if node is old_input else node
        self._use(map_arg(self.args, swap), map_arg(self.kwargs, swap))

    # --- what it does -------------------------------------------------------------------------------------------------

    @property
    def stack_trace(self):
        """Where the program made the call, if the tracer recorded it."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace):
        self.meta["stack_trace"] = trace

    def is_impure(self, impure_random=True):
        """Whether the call must stay though nobody uses its result."""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            return self.target in EFFECTFUL or self.target in INPLACE_OPERATORS
        if self.op == "call_module":
            module = self.graph.owning_module.get_submodule(self.target)
            return getattr(module, "_is_impure", False)
        return False

    def normalized_arguments(self, root, arg_types=None, kwarg_types=None, normalize_to_only_use_kwargs=False):
        """(args, kwargs) by the signature of what is called, defaults filled in; None where it has no signature.

        Args:
            root: the module in which `call_module` targets are found.
            normalize_to_only_use_kwargs: everything by keyword.
        """
        from wengert.fx.operator_schemas import normalize_function, normalize_module

        if self.op == "call_function":
            return normalize_function(
                self.target, self.args, self.kwargs, normalize_to_only_use_kwargs=normalize_to_only_use_kwargs
            )
        if self.op == "call_module":
            return normalize_module(
                root, self.target, self.args, self.kwargs, normalize_to_only_use_kwargs=normalize_to_only_use_kwargs
            )
        return None

    def __repr__(self):
        return self._repr_fn(self) if self._repr_fn else self.name

    def _pretty_print_target(self, target):
        """The target as it is shown: a function by its qualified name."""
        if isinstance(target, str):
            return target
        if getattr(target, "__module__", None) == "builtins":
            return f"builtins.{target.__name__}"
        return qualified_name(target)

    def format_node(self, placeholder_names=None, maybe_return_typename=None, *, include_tensor_metadata=False):
        """This node as a line of `print(graph)`.

        Args:
            placeholder_names: a list that takes the names of placeholders, whose lines are then empty.
            maybe_return_typename: a list whose first element takes the annotation of the result.
        """
        annotation = f" {type_name(self.type)} " if self.type else " "
        if self.op == "placeholder":
            text = self.target + (f" : {type_name(self.type)}" if self.type else "")
            if placeholder_names:
                placeholder_names.append(text)
                return None
            default = f"(default={self.args[0]})" if self.args else ""
            return f"%{self.name} :{annotation}[num_users={len(self.users)}] = {self.op}[target={self.target}]{default}"
        if self.op == "get_attr":
            return (
                f"%{self.name} :{annotation}[num_users={len(self.users)}] = "
                f"{self.op}[target={self._pretty_print_target(self.target)}]"
            )
        if self.op == "output":
            if self.type and maybe_return_typename:
                maybe_return_typename[0] = f" -> {type_name(self.type)}"
            return f"return {self.args[0]}"
        return (
            f"%{self.name} :{annotation}[num_users={len(self.users)}] = "
            f"{self.op}[target={self._pretty_print_target(self.target)}]"
            f"(args = {shown_args(self.args)}, kwargs = {shown_args(self.kwargs)})"
        )


def shown_args(value):
    """Arguments with a % before each node."""
    if isinstance(value, Node):
        return f"%{value.name}"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return "(" + ", ".join(map(shown_args, value)) + (",)" if len(value) == 1 else ")")
    if isinstance(value, list):
        return "[" + ", ".join(map(shown_args, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {shown_args(v)}" for k, v in value.items()) + "}"
    return str(value)


INPLACE_OPERATORS = {
    f for name, f in inspect.getmembers(operator, callable) if name[0] == "i" and hasattr(operator, f"__{name}__")
    and name not in ("index", "inv", "invert", "is_", "is_not", "itemgetter", "indexOf")
}  # fmt: skip
