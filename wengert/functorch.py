"""``functorch``, the package that comes with PyTorch: the older home of ``torch.func``.

Under the alias `import functorch` finds this module. `make_functional` and its kin, which ``torch.func`` replaced by
`functional_call`, are here alone.
"""

import copy

from wengert.absent import refuses
from wengert.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)

__all__ = [
    "FunctionalModule", "FunctionalModuleWithBuffers", "combine_state_for_ensemble", "functionalize", "grad",
    "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "make_functional", "make_functional_with_buffers", "vjp",
    "vmap",
]  # fmt: skip

refuses(globals(), ("make_fx",), why="traces no graph of calls")


class FunctionalModuleWithBuffers:
    """A module as a function: `f(params, buffers, *args, **kwargs)`."""

    def __init__(self, model):
        self.stateless_model = copy.deepcopy(model)
        self.param_names = tuple(name for name, _ in model.named_parameters())
        self.buffer_names = tuple(name for name, _ in model.named_buffers())

    def __call__(self, params, buffers, *args, **kwargs):
        state = {**dict(zip(self.param_names, params)), **dict(zip(self.buffer_names, buffers))}
        return functional_call(self.stateless_model, state, args, kwargs)


class FunctionalModule(FunctionalModuleWithBuffers):
    """A module without buffers as a function: `f(params, *args, **kwargs)`."""

    def __call__(self, params, *args, **kwargs):
        return super().__call__(params, (), *args, **kwargs)


def cut(tensors, from_graph):
    return tuple(tensor.detach() if from_graph else tensor for tensor in tensors)


def make_functional(model, disable_autograd_tracking=False):
    """(f, params) such that `f(params, *args)` is `model(*args)`.

    Args:
        disable_autograd_tracking: whether the parameters come back without `requires_grad`.

    Raises:
        RuntimeError: the model has buffers, for which there is `make_functional_with_buffers`.
    """
    if any(True for _ in model.buffers()):
        raise RuntimeError("make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model)"
                           " instead.")  # fmt: skip
    own = copy.deepcopy(model)
    return FunctionalModule(model), cut(own.parameters(), disable_autograd_tracking)


def make_functional_with_buffers(model, disable_autograd_tracking=False):
    """(f, params, buffers) such that `f(params, buffers, *args)` is `model(*args)`; see `make_functional`."""
    own = copy.deepcopy(model)
    return FunctionalModuleWithBuffers(model), cut(own.parameters(), disable_autograd_tracking), tuple(own.buffers())


def combine_state_for_ensemble(models):
    """(f, params, buffers) of models of one class, each parameter and buffer stacked over the models, for `vmap`."""
    params, buffers = stack_module_state(models)
    return FunctionalModuleWithBuffers(models[0]), tuple(params.values()), tuple(buffers.values())
