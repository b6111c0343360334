"""Small parameters laid end to end, so that one formula updates them all at once.

For a tensor of a few hundred elements the time of an array operation is nearly all overhead. An elementwise formula
does not care where one parameter ends and the next begins: the pack keeps the state of many in one array each (the
state tensors become views of it), gathers parameters and gradients, runs the formula once, and puts the results back.
"""

import numpy as np

import wengert

# Above this many elements the copying costs more than the calls it saves.
LARGEST = 4096


def packable(p):
    """Whether a parameter's array may be packed."""
    array = p._array
    return array.size <= LARGEST and array.dtype.kind == "f" and array.itemsize >= 4


class Pack:
    """Parameters of one group, of one dtype and one step count, with the arrays of their states joined."""

    __slots__ = ("arrays", "counters", "grads", "names", "params", "places", "states", "tensors", "values", "vectors")

    def __init__(self, params, states, names):
        self.params, self.states, self.names = params, states, names
        self.arrays = [p._array for p in params]
        dtype = self.arrays[0].dtype
        ends = np.cumsum([a.size for a in self.arrays]).tolist()
        slices = [slice(end - a.size, end) for a, end in zip(self.arrays, ends, strict=True)]
        self.values, self.grads = np.empty(ends[-1], dtype), np.empty(ends[-1], dtype)
        self.places = [self.values[s].reshape(a.shape) for a, s in zip(self.arrays, slices, strict=True)]
        self.vectors = {}
        for name in names:
            vector = self.vectors[name] = np.empty(ends[-1], dtype)
            for state, a, s in zip(states, self.arrays, slices, strict=True):
                _move(state[name], vector[s].reshape(a.shape))
        self.counters = None
        if states[0] and "step" in states[0]:
            self.counters = np.empty(len(params), states[0]["step"]._array.dtype)
            for i, state in enumerate(states):
                _move(state["step"], self.counters[i : i + 1].reshape(()))
            names = ("step", *names)
        self.tensors = [[(name, state[name], state[name]._array) for name in names] for state in states]

    def gather(self, state_of):
        """Collect parameters and gradients; False if anything is no longer as it was when the pack was made."""
        grads = []
        for p, array, state, tensors in zip(self.params, self.arrays, self.states, self.tensors, strict=True):
            grad = p.grad
            if grad is None or grad.is_sparse or p._array is not array or state_of.get(p) is not state:
                return False
            for name, tensor, view in tensors:
                if state.get(name) is not tensor or tensor._array is not view:
                    return False
            grads.append(grad._array.ravel())
        np.concatenate([a.ravel() for a in self.arrays], out=self.values)
        np.concatenate(grads, out=self.grads)
        return True

    def scatter(self):
        """Put the parameters' new values back."""
        for array, place in zip(self.arrays, self.places, strict=True):
            np.copyto(array, place)


def _move(tensor, view):
    """Let `tensor` live in `view`, with the value that it has."""
    np.copyto(view, tensor._array)
    tensor.data = wengert.from_numpy(view)


def make_packs(params, state_of, names):
    """Packs of those `params` that can be packed and have the same dtype and step count as another."""
    alike = {}
    for p in params:
        state = state_of.get(p) or {}
        if p.grad is None or not packable(p) or any(name not in state for name in names):
            continue
        step = float(state["step"]) if "step" in state else 0.0
        alike.setdefault((p._array.dtype, step), []).append(p)
    return [Pack(same, [state_of.get(p) for p in same], names) for same in alike.values() if len(same) > 1]
