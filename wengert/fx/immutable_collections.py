"""Lists and dictionaries that refuse to be changed: the arguments of a node are replaced, never written into."""

from wengert.utils import _pytree as pytree

__all__ = ["immutable_dict", "immutable_list"]

REFUSED = (
    "'{}' object does not support mutation. If you are attempting to modify the kwargs or args of a torch.fx.Node "
    "object, instead create a new copy of it and assign the copy to the node:\n"
    "    new_args = ... # copy and mutate args\n"
    "    node.args = new_args"
)


def refusing(name, kind):
    def method(self, *args, **kwargs):
        raise TypeError(REFUSED.format(kind))

    method.__name__ = name
    return method


class immutable_list(list):
    """A list that raises TypeError when it is written into."""

    def __hash__(self):
        return hash(tuple(self))

    def __reduce__(self):
        return immutable_list, (tuple(self),)


class immutable_dict(dict):
    """A dictionary that raises TypeError when it is written into."""

    def __hash__(self):
        return hash(frozenset(self.items()))

    def __reduce__(self):
        return immutable_dict, (tuple(self.items()),)


MUTATORS = {
    immutable_list: "__delitem__ __iadd__ __imul__ __setitem__ append clear extend insert pop remove reverse sort",
    immutable_dict: "__delitem__ __ior__ __setitem__ clear pop popitem setdefault update",
}
for _kind, _names in MUTATORS.items():
    for _name in _names.split():
        setattr(_kind, _name, refusing(_name, _kind.__name__))

pytree.register_pytree_node(
    immutable_list, lambda x: (list(x), None), lambda children, _: immutable_list(children)
)
pytree.register_pytree_node(
    immutable_dict, lambda x: (list(x.values()), list(x)), lambda values, keys: immutable_dict(zip(keys, values))
)
