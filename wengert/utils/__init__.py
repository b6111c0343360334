"""``torch.utils``: what programs use around tensors; each part loads when first touched."""

import copyreg
import importlib
import sys
import weakref

from wengert.outside import outside

__getattr__ = outside(__name__, submodules=True)


POISONED = (
    "Trying to execute AccumulateGrad node that was poisoned by swap_tensors this can happen when you try to run "
    "backward on a tensor that was swapped. For a module m with "
    "`torch.__future__.set_swap_module_params_on_conversion(True)` you should not change the device or dtype of the "
    "module (e.g. `m.cpu()` or `m.half()`) between running forward and backward. To resolve this, please only change "
    "the device/dtype before running forward (or after both forward and backward)."
)


def swap_tensors(t1, t2):
    """Let two tensors change places: each becomes what the other was, class, attributes and gradient included.

    A graph that ends in one of them as a leaf can't be walked any more.

    Raises:
        RuntimeError: somebody holds a weak reference to one of them, or their classes have different slots.
    """
    from wengert.autograd.graph import AccumulateGrad

    leaves = [t._node if type(t._node) is AccumulateGrad else None for t in (t1, t2)]
    for name, tensor, leaf in zip(("t1", "t2"), (t1, t2), leaves, strict=True):
        known = {id(leaf and leaf._variable), *map(id, views_of(tensor))}
        if any(id(reference) not in known for reference in weakref.getweakrefs(tensor)):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    slots = set(copyreg._slotnames(type(t1)))
    if slots != set(copyreg._slotnames(type(t2))):
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    for leaf in leaves:
        if leaf is not None and sys.getrefcount(leaf) > HELD_BY_ITS_TENSOR:
            leaf.register_prehook(poisoned)
    for name in ("__class__", "__dict__", *slots):
        swap_attribute(t1, t2, name)
    for tensor, other in ((t1, t2), (t2, t1)):
        if type(tensor._node) is AccumulateGrad:
            tensor._node._variable = weakref.ref(tensor)
        views = views_of(tensor)
        views[:] = [weakref.ref(tensor) if view() is other else view for view in views]


def views_of(tensor):
    """The weak references by which a piece of memory knows the views of it, of which `tensor` may be one."""
    return (tensor._counter.views if tensor._base is not None else None) or []


# References to the node of a leaf that is in no graph: the tensor's, the list's, the loop's and getrefcount's own.
HELD_BY_ITS_TENSOR = 4


def poisoned(grad_outputs):
    raise RuntimeError(POISONED)


def swap_attribute(a, b, name):
    absent = object()
    first, second = getattr(a, name, absent), getattr(b, name, absent)
    for tensor, value in ((a, second), (b, first)):
        if value is not absent:
            setattr(tensor, name, value)
        elif hasattr(tensor, name):
            delattr(tensor, name)
