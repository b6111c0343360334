"""Trees: taken apart, put together, with nodes of one's own."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

from wengert.utils import _pytree as pytree

Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "tree",
    [[1, (2, [3])], {"a": 1, "b": {"c": 2}}, OrderedDict(a=1), defaultdict(int, a=1), Point(1, [2]), deque([1], 3), 5],
    ids=str,
)  # fmt: skip
def test_a_tree_is_the_same_after_both(tree):
    leaves, spec = pytree.tree_flatten(tree)
    again = pytree.tree_unflatten(leaves, spec)
    assert again == tree and type(again) is type(tree) and spec.num_leaves == len(leaves)


class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right


def test_a_class_can_be_made_a_node():
    assert pytree.tree_leaves(pair := Pair(1, [2, 3])) == [pair]
    pytree.register_pytree_node(Pair, lambda pair: ([pair.left, pair.right], None), lambda children, _: Pair(*children))
    try:
        assert pytree.tree_leaves(Pair(1, [2, 3])) == [1, 2, 3]
        doubled = pytree.tree_map(lambda x: 2 * x, Pair(1, [2, 3]))
        assert (doubled.left, doubled.right) == (2, [4, 6])
        with pytest.raises(ValueError, match="already registered"):
            pytree.register_pytree_node(Pair, None, None)
    finally:
        del pytree.SUPPORTED_NODES[Pair]


def test_paths_lead_to_leaves():
    tree = {"a": [1, (2, 3)], "b": Point(4, deque([5])), "c": OrderedDict(k=6)}
    found, spec = pytree.tree_flatten_with_path(tree)
    assert [leaf for _, leaf in found] == [1, 2, 3, 4, 5, 6]
    assert [pytree.keystr(path) for path, _ in found] == [
        "['a'][0]", "['a'][1][0]", "['a'][1][1]", "['b'].x", "['b'].y[0]", "['c']['k']",
    ]  # fmt: skip
    assert [pytree.key_get(tree, path) for path, _ in found] == [1, 2, 3, 4, 5, 6]
    assert pytree.tree_map_with_path(lambda path, leaf: leaf * len(path), tree)["a"] == [2, (6, 9)]
    assert spec == pytree.tree_structure(tree)
