"""One hook for the gradients of several tensors in one backward pass."""

import threading
from weakref import WeakKeyDictionary

from wengert.autograd import engine


class MultiHandle:
    """The handles of a multi-grad hook, removed together."""

    def __init__(self, handles):
        self.handles = tuple(handles)

    def remove(self):
        for handle in self.handles:
            handle.remove()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Call `fn` once in each backward pass that computes gradients of `tensors`.

    Args:
        tensors: tensors that require grad.
        mode: "all" calls ``fn(gradients)`` when those that this pass computes are there (None for the others); "any"
            calls ``fn(gradient)`` for the first.
    Returns a handle with ``remove()``. Raises ValueError for another mode.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    nodes = []
    for tensor in tensors:
        if tensor._node is None:
            raise AssertionError("Expected gradient function to be set")
        nodes.append(tensor._node)
    lock = threading.Lock()
    passes = WeakKeyDictionary()  # what has come in each backward pass

    def all_hook(index, grad):
        now = engine.state.passes[-1]
        with lock:
            if now not in passes:
                passes[now] = [[None] * len(nodes), sum(map(now.will_run, nodes)), 0]
            gathered = passes[now]
            grads, count, _ = gathered
            grads[index] = grad if grads[index] is None else grads[index] + grad
            gathered[2] += 1
            complete = gathered[2] == count
        if complete:
            fn(grads)

    def any_hook(grad):
        now = engine.state.passes[-1]
        with lock:
            first = now not in passes
            passes[now] = True
        if first:
            fn(grad)

    if mode == "all":
        return MultiHandle(t.register_hook(lambda g, i=i: all_hook(i, g)) for i, t in enumerate(tensors))
    return MultiHandle(t.register_hook(any_hook) for t in tensors)
