"""Optimizers as functions: a step on lists of parameters, gradients and states that the caller keeps.

`torch.optim.adam.adam(params, grads, exp_avgs, ...)` and its like. The formula is the class's: each function fills the
class's state from the lists and takes its step. A module declares its function with `functional`, beside its class.
"""

from collections import defaultdict
from functools import cached_property

import wengert

__all__ = ["functional"]

# Options that the functions take one by one, and the classes together.
PAIRS = {"betas": ("beta1", "beta2"), "etas": ("etaminus", "etaplus"), "step_sizes": ("step_size_min", "step_size_max"),
         "eps": ("eps1", "eps2")}  # fmt: skip


class Function:
    """What a functional optimizer does with its arguments."""

    def __init__(self, kind, name, states, options, gradients, constants):
        self.kind, self.name, self.states = kind, name, states
        self.options, self.gradients, self.constants = options, gradients, constants

    @cached_property
    def arguments(self):
        """A function that gives its arguments by name, and raises TypeError for what it doesn't take."""
        bind = eval(f"lambda params, {', '.join([self.gradients, *self.states])}, {self.options}: locals()")
        bind.__name__ = bind.__qualname__ = self.name
        return bind

    def run(self, given):
        params, grads = given.pop("params"), given.pop(self.gradients)
        lists = {state: given.pop(parameter) for parameter, state in self.states.items()}
        if not all(isinstance(step, wengert.Tensor) for step in lists.get("step", ())):
            raise RuntimeError("API has changed, `state_steps` argument must contain a list of singleton tensors")
        found_inf, scale = given.pop("found_inf", None), given.pop("grad_scale", None)
        if found_inf is not None and found_inf.item():
            return
        group = {**given, **self.constants}
        for option, (first, second) in PAIRS.items():
            if first in group:
                group[option] = (group.pop(first), group.pop(second))
        optimizer = self.without_parameters()
        names = optimizer._arrays(group)
        for i, (p, grad) in enumerate(zip(params, grads, strict=True)):
            kept = {state: values[i] for state, values in lists.items() if len(values) and values[i] is not None}
            optimizer.state[p] = kept
            optimizer._step_one(group, p, grad if scale is None else grad / scale, names)
            for state, values in lists.items():
                if len(values) and values[i] is None and state in kept:
                    values[i] = kept[state]

    def without_parameters(self):
        """An optimizer with nothing but its formula."""
        optimizer = object.__new__(self.kind)
        optimizer._forget_arrays()
        optimizer.state, optimizer.param_groups, optimizer.defaults = defaultdict(dict), [], {}
        return optimizer


def functional(kind, name, states, options, *, gradients="grads", **constants):
    """The function that takes a step of the class `kind`.

    Args:
        kind: the optimizer's class.
        name: the function's.
        states: the parameters that are lists of state tensors, with the state's name in the class.
        options: the other parameters, as they are written in a function's definition.
        gradients: the name of the parameter for the gradients.
        **constants: options of the class that the function doesn't have.
    """
    step = Function(kind, name, states, options, gradients, constants)

    def function(*args, **kwargs):
        step.run(step.arguments(*args, **kwargs))

    function.__name__ = function.__qualname__ = name
    function.__module__ = kind.__module__
    function.__doc__ = f"""One step of `{kind.__name__}` on lists, which it changes in place.

    Args: ``(params, {", ".join([gradients, *states])}, {options})``.
    """
    return function
