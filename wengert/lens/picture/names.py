"""Names for what a graph holds: those of a module's parameters, and those of the variables of whoever asks."""

import inspect

from wengert.autograd.graph import AccumulateGrad
from wengert.nn import Module
from wengert.tensor import Tensor


def named_leaves(params, frames):
    """Names of leaves by their node, {node: (name, whether a module's)}, and of modules, {path: class}."""
    names, classes = {}, {}

    def enter(name, tensor, of_module):
        node = getattr(tensor, "_node", None)
        if type(node) is AccumulateGrad:
            names.setdefault(node, (name, of_module))

    def enter_module(module, prefix=""):
        for path, part in module.named_modules(prefix=prefix):
            classes.setdefault(path, type(part).__name__)
        for name, tensor in module.named_parameters(prefix=prefix, remove_duplicate=False):
            enter(name, tensor, True)

    if isinstance(params, Module):
        enter_module(params)
    elif params is not None:
        for name, tensor in dict(params).items():
            enter(name, tensor, True)
    variables = {}
    for frame in frames:
        for name, value in frame.items():
            variables.setdefault(name, value)
    if params is None:
        outermost = outermost_modules(variables)
        several = sum(any(True for _ in module.parameters()) for _, module in outermost) > 1
        for name, module in outermost:
            enter_module(module, name if several else "")
    for name, value in variables.items():
        if isinstance(value, Tensor) and not name.startswith("_"):
            enter(name, value, False)
    return names, classes


def outermost_modules(variables):
    """(name, module) for each module that a variable, or an attribute of `self`, holds and that lies in no other."""
    known = dict(getattr(variables.get("self"), "__dict__", None) or {})
    known.update(variables)
    found = {id(value): (name, value) for name, value in reversed(known.items()) if isinstance(value, Module)}
    inside = {id(part) for _, module in found.values() for part in module.modules() if part is not module}
    return [(name, module) for key, (name, module) in reversed(found.items()) if key not in inside]


def name_in(frames, tensor):
    """The variable that holds `tensor`, in the nearest of some namespaces; "" if none does."""
    for frame in frames:
        for name, value in frame.items():
            if value is tensor and not name.startswith("_"):
                return name
    return ""


def namespaces(frame):
    """The variables that a frame of the caller sees: local before global."""
    local = frame.f_locals
    if local is frame.f_globals:
        return [local]
    if isinstance(local, dict) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        # Before Python 3.13 this is a copy that the frame holds on to, and with it all that the variables name.
        copy = dict(local)
        local.clear()
        local = copy
    return [local, frame.f_globals]
