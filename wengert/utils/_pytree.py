"""Trees of lists, tuples, named tuples and dicts, as argument and result structures: taken apart and put together.

`SUPPORTED_NODES` says for each class of inner nodes how; programs may add theirs with `register_pytree_node`.
"""

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

PyTree = Any


class TreeSpec:
    """The structure of a tree: the kind of each inner node, and where leaves go."""

    __slots__ = ("type", "context", "children_specs", "num_leaves")

    def __init__(self, type, context, children_specs):
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves = sum(c.num_leaves for c in children_specs) if type is not None else 1

    def is_leaf(self):
        return self.type is None

    def unflatten(self, leaves):
        return tree_unflatten(leaves, self)

    def __eq__(self, other):
        return isinstance(other, TreeSpec) and (self.type, self.context, self.children_specs) == (
            other.type,
            other.context,
            other.children_specs,
        )

    def __hash__(self):
        return hash((self.type, self.num_leaves))

    def __repr__(self):
        return "*" if self.is_leaf() else f"TreeSpec({self.type.__name__}, {self.context}, {list(self.children_specs)})"


class LeafSpec(TreeSpec):
    """The structure of a leaf."""

    __slots__ = ()

    def __init__(self):
        super().__init__(None, None, ())


LEAF = LeafSpec()


class NodeDef(NamedTuple):
    """How nodes of a class are taken apart, ``(children, context)``, and put together, from children and context."""

    type: Any
    flatten_fn: Callable
    unflatten_fn: Callable
    flatten_with_keys_fn: Callable | None = None


Context = Any  # what a node keeps besides its children
SUPPORTED_NODES: dict[Any, NodeDef] = {}


def register_pytree_node(cls, flatten_fn, unflatten_fn, *, serialized_type_name=None, to_dumpable_context=None,
                         from_dumpable_context=None, flatten_with_keys_fn=None):  # fmt: skip
    """Make instances of `cls` inner nodes of trees.

    Args:
        flatten_fn: gives the children and a context for a node.
        unflatten_fn: gives the node for children and context.
        flatten_with_keys_fn: gives the children with the keys by which they are reached.
        serialized_type_name, to_dumpable_context, from_dumpable_context: for structures in files; none is written.
    Raises:
        ValueError: `cls` is one already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


_register_pytree_node = register_pytree_node

register_pytree_node(list, lambda node: (list(node), None), lambda children, _: list(children))
register_pytree_node(tuple, lambda node: (list(node), None), lambda children, _: tuple(children))
register_pytree_node(
    dict, lambda node: (list(node.values()), tuple(node)), lambda children, keys: dict(zip(keys, children))
)
register_pytree_node(
    OrderedDict,
    lambda node: (list(node.values()), tuple(node)),
    lambda children, keys: OrderedDict(zip(keys, children)),
)
register_pytree_node(
    defaultdict,
    lambda node: (list(node.values()), (node.default_factory, tuple(node))),
    lambda children, context: defaultdict(context[0], zip(context[1], children)),
)
register_pytree_node(deque, lambda node: (list(node), node.maxlen), lambda children, maxlen: deque(children, maxlen))
register_pytree_node(  # stands for all named tuples, and for the results with names of operations
    namedtuple,
    lambda node: (list(node), type(node)),
    lambda children, kind: kind(*children) if hasattr(kind, "_make") else kind(children),
)


def is_namedtuple(value):
    """Whether `value` is a named tuple."""
    return isinstance(value, tuple) and hasattr(type(value), "_fields")


def is_structseq_instance(obj):
    """Whether `obj` is a result with names of an operation."""
    return isinstance(obj, tuple) and type(obj).__module__ == "wengert.return_types"


def _get_node_type(tree):
    """What to look up in `SUPPORTED_NODES`."""
    return namedtuple if is_namedtuple(tree) else type(tree)


def children_of(tree):
    """(children, context) of an inner node; None for a leaf."""
    node = SUPPORTED_NODES.get(_get_node_type(tree))
    return None if node is None else node.flatten_fn(tree)


def tree_is_leaf(tree, is_leaf=None):
    """Whether `tree` is a leaf: no container that is known, or one that `is_leaf` says to leave whole."""
    return (is_leaf is not None and is_leaf(tree)) or _get_node_type(tree) not in SUPPORTED_NODES


def tree_flatten(tree, is_leaf=None):
    """(leaves from left to right, the structure)."""
    leaves = []
    return leaves, _flatten(tree, leaves, is_leaf)


def _flatten(tree, leaves, is_leaf):
    found = None if is_leaf is not None and is_leaf(tree) else children_of(tree)
    if found is None:
        leaves.append(tree)
        return LEAF
    children, context = found
    return TreeSpec(_get_node_type(tree), context, tuple(_flatten(c, leaves, is_leaf) for c in children))


def tree_unflatten(leaves, treespec):
    """The tree of this structure with these leaves. Raises ValueError for another number of them."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree "
            "that holds "
            f"{treespec.num_leaves} items ({treespec})."
        )
    return _unflatten(iter(leaves), treespec)


def _unflatten(leaves, spec):
    if spec.is_leaf():
        return next(leaves)
    children = [_unflatten(leaves, c) for c in spec.children_specs]
    return SUPPORTED_NODES[spec.type].unflatten_fn(children, spec.context)


def tree_leaves(tree, is_leaf=None):
    """The leaves from left to right."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree, is_leaf=None):
    """The structure alone."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """The tree of ``func(leaf, ...)`` for corresponding leaves of trees of one structure."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_flatten(r, is_leaf)[0] for r in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], spec)


def tree_map_only(kind, func, tree, is_leaf=None):
    """`tree_map` on the leaves that are instances of `kind`, the others as they are."""
    return tree_map(lambda x: func(x) if isinstance(x, kind) else x, tree, is_leaf=is_leaf)


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call ``func(leaf, ...)`` for all leaves; returns `tree` itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_iter(tree, is_leaf=None):
    """The leaves from left to right, as an iterator."""
    return iter(tree_leaves(tree, is_leaf))


def tree_all(predicate, tree):
    """Whether all leaves satisfy a predicate."""
    return all(map(predicate, tree_leaves(tree)))


def tree_any(predicate, tree):
    """Whether any leaf satisfies a predicate."""
    return any(map(predicate, tree_leaves(tree)))


def broadcast_to(tree, spec):
    """The leaves of `tree`, each repeated for the whole part of `spec` for which it stands; None if it does not fit."""
    if spec.is_leaf():
        return [tree]
    found = children_of(tree)
    if found is None:
        return [tree] * spec.num_leaves
    children, context = found
    if _get_node_type(tree) is not spec.type or len(children) != len(spec.children_specs) or context != spec.context:
        return None
    parts = [broadcast_to(c, s) for c, s in zip(children, spec.children_specs, strict=True)]
    return None if any(p is None for p in parts) else [x for p in parts for x in p]


# --- the way to a leaf: one key for each node on it -------------------------------------------------------------------


@dataclass(frozen=True)
class SequenceKey:
    """The place in a list, tuple or deque."""

    idx: int

    def __str__(self):
        return f"[{self.idx!r}]"

    def get(self, node):
        return node[self.idx]


@dataclass(frozen=True)
class MappingKey:
    """The key in a dict."""

    key: Any

    def __str__(self):
        return f"[{self.key!r}]"

    def get(self, node):
        return node[self.key]


@dataclass(frozen=True)
class GetAttrKey:
    """The field of a named tuple."""

    name: str

    def __str__(self):
        return f".{self.name}"

    def get(self, node):
        return getattr(node, self.name)


def _dict_flatten(d):
    return list(d.values()), list(d)


def _dict_unflatten(values, context):
    return dict(zip(context, values, strict=True))


def _dict_flatten_with_keys(d):
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


def _list_flatten(d):
    return list(d), None


def _list_unflatten(values, context):
    return list(values)


def _list_flatten_with_keys(d):
    return list(zip(map(SequenceKey, range(len(d))), d, strict=True)), None


def keyed_children(node):
    """(key, child) for each child of an inner node; None for a leaf."""
    kind = _get_node_type(node)
    definition = SUPPORTED_NODES.get(kind)
    if definition is None:
        return None
    if definition.flatten_with_keys_fn is not None:
        return definition.flatten_with_keys_fn(node)[0]
    children = definition.flatten_fn(node)[0]
    if kind is namedtuple:
        return list(zip(map(GetAttrKey, type(node)._fields), children, strict=True))
    if isinstance(node, dict):
        return list(zip(map(MappingKey, node), children, strict=True))
    if kind in (list, tuple, deque):
        return list(zip(map(SequenceKey, range(len(children))), children, strict=True))
    raise ValueError(
        f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a flatten_with_keys_fn argument to "
        "register_pytree_node."
    )


def _paths(tree, path, is_leaf):
    found = None if is_leaf is not None and is_leaf(tree) else keyed_children(tree)
    if found is None:
        yield path, tree
        return
    for key, child in found:
        yield from _paths(child, (*path, key), is_leaf)


def tree_leaves_with_path(tree, is_leaf=None):
    """A pair (path, leaf) for each leaf; a path is a tuple of keys."""
    return list(_paths(tree, (), is_leaf))


def tree_flatten_with_path(tree, is_leaf=None):
    """`tree_leaves_with_path`, and the structure."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(func, tree, *rests, is_leaf=None):
    """The tree of ``func(path, leaf, ...)``."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(path, leaf, *row) for (path, leaf), *row in zip(found, *others, strict=True)], spec)


def keystr(kp):
    """A path as one would write it in a program."""
    return "".join(map(str, kp))


def key_get(obj, kp):
    """What lies at the path `kp` in `obj`."""
    for key in kp:
        obj = key.get(obj)
    return obj
