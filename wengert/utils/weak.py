"""``torch.utils.weak``: dictionaries whose keys are kept by identity, and not kept alive.

A tensor compares elementwise, so it can't be looked up by equality.
"""

import weakref
from collections.abc import MutableMapping

__all__ = ["TensorWeakRef", "WeakIdKeyDictionary", "WeakIdRef", "WeakTensorKeyDictionary"]


class WeakIdRef(weakref.ref):
    """A weak reference that equals another exactly if both are to the same living object."""

    __slots__ = ("_id",)

    def __init__(self, key, callback=None):
        super().__init__(key, callback)
        self._id = id(key)

    def __hash__(self):
        return self._id

    def __eq__(self, other):
        mine, theirs = self(), other()
        return mine is theirs if mine is not None and theirs is not None else self is other


class TensorWeakRef:
    """A weak reference to a tensor: called, it gives the tensor, or None if that is gone."""

    def __init__(self, tensor):
        self.ref = weakref.ref(tensor)

    def __call__(self):
        return self.ref()


class WeakIdKeyDictionary(MutableMapping):
    """A dictionary by the identity of its keys; an entry goes when its key does."""

    def __init__(self, dict=None, ref_type=WeakIdRef):
        self.data = {}
        self.ref_type = ref_type
        if dict is not None:
            self.update(dict)

    def _key(self, key):
        data = weakref.ref(self)

        def forget(reference):
            dictionary = data()
            if dictionary is not None:
                dictionary.data.pop(reference, None)

        return self.ref_type(key, forget)

    def __setitem__(self, key, value):
        self.data[self._key(key)] = value

    def __getitem__(self, key):
        return self.data[self.ref_type(key)]

    def __delitem__(self, key):
        del self.data[self.ref_type(key)]

    def __contains__(self, key):
        return self.ref_type(key) in self.data

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        for reference in list(self.data):
            key = reference()
            if key is not None:
                yield key

    def __repr__(self):
        return f"<{type(self).__name__} of {len(self)} keys>"


WeakTensorKeyDictionary = WeakIdKeyDictionary
