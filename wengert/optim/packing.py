"""Small parameters laid end to end, so that one formula updates them all at once.

For a tensor of a few hundred elements the time of an array operation is nearly all overhead. An elementwise formula
does not care where one parameter ends and the next begins: the pack keeps the state of many in one array each (the
state tensors become views of it), gathers parameters and gradients, runs the formula once, and puts the results back.
"""

import numpy as np

import wengert
from wengert.autograd.views import bump

# Above this many elements the copying costs more than the calls it saves.
LARGEST = 4096


def packable(p):
    """Whether a parameter's array may be packed."""
    array = p._array
    return array.size <= LARGEST and array.dtype.kind == "f" and array.itemsize >= 4


class Pack:
    """Parameters of one group, of one dtype and at the same step, with the arrays of their states joined.

    `vectors` are the joined states by name. `scalars` are state tensors of one number (step counts and the like), also
    joined; they are equal in all parameters of the pack, so the formula sees the first, and the others follow it.
    """

    __slots__ = ("flat", "grads", "params", "places", "rows", "scalars", "values", "vectors")

    def __init__(self, params, states, names, scalars):
        arrays = [p._array for p in params]
        dtype = arrays[0].dtype
        ends = np.cumsum([a.size for a in arrays]).tolist()
        slices = [slice(end - a.size, end) for a, end in zip(arrays, ends)]
        self.params = params
        self.values, self.grads = np.empty(ends[-1], dtype), np.empty(ends[-1], dtype)
        self.places = [(a, self.values[s].reshape(a.shape)) for a, s in zip(arrays, slices)]
        self.flat = [a.reshape(-1) for a in arrays] if all(a.flags.c_contiguous for a in arrays) else None
        self.vectors, self.scalars = {}, {}
        for name in names:
            if name in scalars:
                joined = self.scalars[name] = np.empty(len(params), states[0][name]._array.dtype)
                parts = [joined[i : i + 1].reshape(()) for i in range(len(params))]
                self.vectors[name] = parts[0]
            else:
                joined = self.vectors[name] = np.empty(ends[-1], dtype)
                parts = [joined[s].reshape(a.shape) for a, s in zip(arrays, slices)]
            for state, part in zip(states, parts):
                _move(state[name], part)
        kept = [[(name, state[name], state[name]._array) for name in names] for state in states]
        self.rows = list(zip(params, arrays, states, kept))

    def gather(self, state_of):
        """Collect parameters and gradients; False if anything is no longer as it was when the pack was made."""
        grads = []
        for p, array, state, kept in self.rows:
            grad = p.grad
            if grad is None or p._array is not array or state_of.get(p) is not state or grad.is_sparse:
                return False
            for name, tensor, view in kept:
                if state.get(name) is not tensor or tensor._array is not view:
                    return False
            grads.append(grad._array.ravel())
        np.concatenate(self.flat or [array.ravel() for array, _ in self.places], out=self.values)
        np.concatenate(grads, out=self.grads)
        return True

    def scatter(self):
        """Put the parameters' new values, and the first one's numbers, where they belong."""
        for joined in self.scalars.values():
            joined[1:] = joined[0]
        for array, place in self.places:
            array[...] = place
        for p in self.params:
            bump(p)


def _move(tensor, view):
    """Let `tensor` live in `view`, with the value that it has."""
    np.copyto(view, tensor._array)
    tensor.data = wengert.from_numpy(view)


def make_packs(params, state_of, names, scalars):
    """Packs of those `params` that can be packed and have the same dtype and step count as another."""
    alike = {}
    for p in params:
        state = state_of.get(p) or {}
        if p.grad is None or not packable(p) or any(name not in state for name in names):
            continue
        numbers = tuple(float(state[name]._array) for name in names if name in scalars)
        alike.setdefault((p._array.dtype, numbers), []).append(p)
    return [Pack(same, [state_of.get(p) for p in same], names, scalars) for same in alike.values() if len(same) > 1]
