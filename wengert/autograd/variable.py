"""``Variable``: the name that tensors had while only some of them could be differentiated."""

from wengert.autograd import engine
from wengert.tensor import Tensor

__all__ = ["Variable"]


class VariableMeta(type):
    """Every tensor is a Variable."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor)


class Variable(metaclass=VariableMeta):
    """``Variable(data, requires_grad)``: a tensor outside the graph on the memory of `data`.

    Args:
        data: a tensor.
        requires_grad: whether operations on the result are recorded.
    """

    class _execution_engine:
        """What programs ask of the engine that runs backward passes."""

        queue_callback = staticmethod(engine.queue_callback)

        @staticmethod
        def is_checkpoint_valid():
            """Whether the running pass goes to all leaves, as re-entrant checkpoints need it."""
            return not engine.state.passes or engine.state.passes[-1].wanted is None

    def __new__(cls, data=None, requires_grad=False):
        data = Tensor() if data is None else data
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
