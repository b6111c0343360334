"""A step of an optimizer as part of the graph: gradients flow through it to what the gradients were computed from.

The formulas of the optimizers change arrays in place. A `Recorded` stands for such an array: what NumPy is asked to do
to it is done to a tensor, recorded, and the tensor takes the place of the one before. So the same formula serves.
"""

import numpy as np

import wengert

# NumPy's functions that occur in the formulas, and what they are called on tensors.
UFUNCS = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.divide: "div", np.power: "pow", np.sqrt: "sqrt",
    np.absolute: "abs", np.sign: "sign", np.negative: "neg", np.maximum: "maximum", np.less: "lt", np.greater: "gt",
}  # fmt: skip


class Recorded(np.lib.mixins.NDArrayOperatorsMixin):
    """What a formula takes for an array: a tensor, replaced by another at each write."""

    __slots__ = ("tensor", "copies_in_graph")

    def __init__(self, tensor, copies_in_graph=True):
        self.tensor = tensor
        self.copies_in_graph = copies_in_graph

    @property
    def dtype(self):
        return self.tensor._array.dtype

    @property
    def shape(self):
        return self.tensor._array.shape

    def scratch(self):
        """Something whose contents don't matter."""
        return Recorded(self.tensor)

    def __float__(self):
        return float(self.tensor)

    def __setitem__(self, index, value):
        value = value.tensor if isinstance(value, Recorded) else wengert.full_like(self.tensor, value)
        if index is not Ellipsis:  # a mask
            value = wengert.where(index.tensor, value, self.tensor)
        self.tensor = value

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if ufunc not in UFUNCS or method != "__call__" or options:
            raise NotImplementedError(f"differentiable=True: {ufunc.__name__} in the formula of a step")
        first, *rest = (x.tensor if isinstance(x, Recorded) else x for x in inputs)
        if not isinstance(first, wengert.Tensor):
            first = wengert.full_like(self.tensor, first)
        return written(getattr(first, UFUNCS[ufunc])(*rest), None if out is None else out[0])

    def __array_function__(self, function, types, args, kwargs):
        if function not in FUNCTIONS:
            raise NotImplementedError(f"differentiable=True: {function.__name__} in the formula of a step")
        return FUNCTIONS[function](*args, **kwargs)


def written(tensor, out):
    """`tensor` for the formula, in the place of what `out` had."""
    if out is None:
        return Recorded(tensor)
    out.tensor = tensor
    return out


def copyto(target, source):
    target.tensor = source.tensor if target.copies_in_graph else source.tensor.detach()


def clip(x, low, high, out=None):
    return written(x.tensor.clamp(low, high), out)


def where(condition, x, y):
    one, other = (v.tensor if isinstance(v, Recorded) else wengert.tensor(v.item()) for v in (x, y))
    return Recorded(wengert.where(condition.tensor, one, other))


FUNCTIONS = {np.copyto: copyto, np.clip: clip, np.where: where}


def run(update, group, step, tensors, copies_in_graph):
    """Run the formula `update` on tensors (parameter, gradient, state), and write what it changed into them.

    `copies_in_graph` says whether ``np.copyto`` in the formula takes the graph along.
    """
    if any(tensor.is_complex() for tensor in tensors):
        raise NotImplementedError("differentiable=True: complex parameters")
    with wengert.enable_grad():
        stand_ins = [Recorded(tensor, copies_in_graph) for tensor in tensors]
        update(group, step, *stand_ins)
        for tensor, stand_in in zip(tensors, stand_ins, strict=True):
            if stand_in.tensor is not tensor and tensor is not tensors[1]:
                tensor.copy_(stand_in.tensor)
