"""Trees of lists, tuples, named tuples and dicts, as argument and result structures: taken apart and put together."""

from collections import OrderedDict, defaultdict


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


LEAF = TreeSpec(None, None, ())


def is_namedtuple(value):
    return isinstance(value, tuple) and hasattr(type(value), "_fields")


def children_of(tree):
    """(children, context) of an inner node; None for a leaf."""
    kind = type(tree)
    if kind in (list, tuple):
        return list(tree), None
    if kind in (dict, OrderedDict):
        return list(tree.values()), tuple(tree)
    if kind is defaultdict:
        return list(tree.values()), (tree.default_factory, tuple(tree))
    if is_namedtuple(tree):
        return list(tree), kind
    return None


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
    return TreeSpec(type(tree), context, tuple(_flatten(c, leaves, is_leaf) for c in children))


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
    kind, context = spec.type, spec.context
    if kind in (list, tuple):
        return kind(children)
    if kind in (dict, OrderedDict):
        return kind(zip(context, children, strict=True))
    if kind is defaultdict:
        return defaultdict(context[0], zip(context[1], children, strict=True))
    return kind(*children) if hasattr(kind, "_make") else kind(children)


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
    if type(tree) is not spec.type or len(children) != len(spec.children_specs) or context != spec.context:
        return None
    parts = [broadcast_to(c, s) for c, s in zip(children, spec.children_specs, strict=True)]
    return None if any(p is None for p in parts) else [x for p in parts for x in p]
